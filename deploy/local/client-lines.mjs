// The commands that a person pastes into another terminal to talk to a node.
import { relative } from 'node:path'
import { root } from './toolchain.mjs'
import { reachable } from './broker-process.mjs'

const topic = 'demo/hello'

/** `{ address, ca, user, password }` → one shell line each for mosquitto's clients and for MQTT.js. */
export function clientLines({ address, ca, user, password }) {
  const url = new URL(reachable(address))
  const secure = url.protocol === 'mqtts:'
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = url.port || (secure ? '8883' : '1883')
  const login = user === undefined ? '' : ` -u ${shellWord(user)} -P ${shellWord(password)}`
  const mosquitto = `${secure ? `--cafile ${ca} ` : ''}-h ${host} -p ${port}${login}`
  const mqttjs = `-C ${secure ? `mqtts --ca ${ca}` : 'mqtt'} -h ${host} -p ${port}${login}`
  return {
    subscribe: `mosquitto_sub ${mosquitto} -t 'demo/#' -v`,
    publish: `mosquitto_pub ${mosquitto} -t ${topic} -m 'calm water'`,
    subscribeFromNode: `npx mqtt sub ${mqttjs} -t 'demo/#' -v`,
  }
}

/** A file as the reader's shell can name it: relative where the command was given at the root. */
export function shellPath(file) {
  const at = process.env.INIT_CWD ?? process.cwd()
  return shellWord(at === root ? relative(root, file) : file)
}

function shellWord(text) {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
