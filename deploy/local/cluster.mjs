// `npm run cluster`: three nodes on this machine that share one Redis, with a user made for the day.
// CLUSTER_PORT and CLUSTER_ADMIN_PORT move the first node's ports; the others follow by one.
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readArguments } from './arguments.mjs'
import { brokerEntry, startBroker } from './broker-process.mjs'
import { clientLines, shellPath } from './client-lines.mjs'
import { capture } from './command.mjs'
import { startRedis } from './redis-process.mjs'
import { forwardSignals } from './signals.mjs'
import { main, prepare, root, SetupError } from './toolchain.mjs'

const nodeCount = 3
const user = 'demo'

const USAGE = `npm run cluster
  three nodes on this machine, one Redis, a user made for the day; Ctrl-C stops all of them
  CLUSTER_PORT, CLUSTER_ADMIN_PORT   of the first node; the others follow by one
  BREAKWATER_*                       settings of all nodes, docs/CONFIG.md
  --help`

await main(async () => {
  if (readArguments(USAGE, []) === undefined) return
  const port = portFrom('CLUSTER_PORT', 8883)
  const adminPort = portFrom('CLUSTER_ADMIN_PORT', 9464)
  const { node, env } = await prepare({ build: ['packages/broker'] })
  const devDir = resolve(root, env.BREAKWATER_DEV_DIR ?? '.dev')
  env.BREAKWATER_DEV_DIR = devDir
  const login = await demoUser({ node, env, devDir })

  const parts = []
  let asked
  const stopAsked = new Promise((resolve) => (asked = () => resolve({ asked: true })))
  forwardSignals(asked)
  try {
    const redis = env.BREAKWATER_REDIS_URL === undefined ? await startRedis() : undefined
    if (redis !== undefined) {
      parts.push({ name: 'redis-server', ...redis })
      env.BREAKWATER_REDIS_URL = redis.url
    }
    const nodes = addresses(port, adminPort)
    for (const { name, address, admin } of nodes) {
      const own = { ...env, BREAKWATER_LISTEN: address, BREAKWATER_ADMIN: admin }
      const broker = await startBroker({ node, env: own, prefix: `${name} |` })
      parts.push({ name, ...broker })
      // One after another: the first one makes the development CA that the others reuse.
      const state = await Promise.race([broker.ready, stopAsked])
      if (state === true) continue
      if (state === false) throw new SetupError(`${name} did not start, see its log above`)
      return
    }
    console.log(hints({ nodes, env, devDir, login }))
    const ends = parts.map(({ name, exited }) => exited.then(() => ({ name })))
    const end = await Promise.race([...ends, stopAsked])
    if (end.asked !== true) throw new SetupError(`${end.name} ended by itself; stopping the others`)
  } finally {
    await stopAll(parts)
  }
})

function portFrom(variable, fallback) {
  const value = Number(process.env[variable] ?? fallback)
  if (Number.isInteger(value) && value > 0 && value <= 65_535 - nodeCount) return value
  throw new SetupError(`${variable}: must be a port number, not "${process.env[variable]}"`)
}

function addresses(port, adminPort) {
  return Array.from({ length: nodeCount }, (_, index) => ({
    name: `node-${index + 1}`,
    address: `mqtts://127.0.0.1:${port + index}`,
    admin: `http://127.0.0.1:${adminPort + index}`,
  }))
}

// Nobody is anonymous in a cluster; a password that is new each time needs no keeping.
async function demoUser({ node, env, devDir }) {
  if (env.BREAKWATER_PASSWORD_FILE !== undefined) return { user: 'USER', password: 'PASSWORD' }
  if (env.BREAKWATER_ALLOW_ANONYMOUS === 'true') return {}
  const file = join(devDir, 'cluster-passwords')
  const password = `demo-${randomBytes(12).toString('hex')}`
  mkdirSync(devDir, { recursive: true })
  rmSync(file, { force: true })
  const made = await capture(node, [brokerEntry, 'passwd', file, user], {
    cwd: root,
    env,
    input: `${password}\n`,
  })
  if (made.code !== 0) throw new SetupError('the demo user could not be made', made.output)
  env.BREAKWATER_PASSWORD_FILE = file
  return { user, password }
}

// Nodes before Redis: they flush to it on their way out.
async function stopAll(parts) {
  const redis = parts.filter(({ name }) => name === 'redis-server')
  await Promise.all(parts.filter((part) => !redis.includes(part)).map((part) => part.stop()))
  await Promise.all(redis.map((part) => part.stop()))
}

function hints({ nodes, env, devDir, login }) {
  const ca =
    env.BREAKWATER_TLS_CERT === undefined ? shellPath(join(devDir, 'ca.crt')) : 'YOUR-CA.crt'
  const lines = nodes.map(({ address }) => clientLines({ address, ca, ...login }))
  const redis = new URL(env.BREAKWATER_REDIS_URL)
  redis.username = ''
  redis.password = ''
  return [
    '',
    `Three nodes share ${redis.href}:`,
    ...nodes.map(({ name, address, admin }) => `  ${name}  ${address}  ${admin}/metrics`),
    'Subscribe on one, publish on another:',
    `  ${lines[1].subscribe}`,
    `  ${lines[2].subscribeFromNode}`,
    `  ${lines[0].publish}`,
    'Ctrl-C stops all of them.',
    '',
  ].join('\n')
}
