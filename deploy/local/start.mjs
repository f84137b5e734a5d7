// `npm start`: one embedded node on mqtts://127.0.0.1:8883, from a fresh checkout, in one command.
import { resolve } from 'node:path'
import { startBroker } from './broker-process.mjs'
import { clientLines, shellPath } from './client-lines.mjs'
import { forwardSignals } from './signals.mjs'
import { main, prepare, root } from './toolchain.mjs'

await main(async () => {
  const { node, env } = await prepare({ build: ['packages/broker'] })
  const args = process.argv.slice(2)
  // A configuration file says itself where to listen; a variable set here would win over it.
  const configured = args.some((argument) => argument.startsWith('--config'))
  if (!configured) {
    env.BREAKWATER_LISTEN ??= 'mqtts://127.0.0.1:8883'
    env.BREAKWATER_ADMIN ??= 'http://127.0.0.1:9464'
  }
  const broker = await startBroker({ node, env, args })
  forwardSignals((signal) => broker.signal(signal))
  if (await broker.ready) console.log(hints(env))
  process.exitCode = await broker.exited
})

function hints(env) {
  const addresses = (env.BREAKWATER_LISTEN ?? '').split(',').map((part) => part.trim())
  const address = addresses.find((part) => part.startsWith('mqtts:')) ?? addresses[0]
  const lines = clientLines({
    address,
    ca:
      env.BREAKWATER_TLS_CERT === undefined
        ? shellPath(resolve(root, env.BREAKWATER_DEV_DIR ?? '.dev', 'ca.crt'))
        : 'YOUR-CA.crt',
    ...(env.BREAKWATER_PASSWORD_FILE !== undefined && { user: 'USER', password: 'PASSWORD' }),
  })
  return [
    '',
    `Breakwater is ready on ${address}, metrics on ${env.BREAKWATER_ADMIN}/metrics. Try, in other terminals:`,
    `  ${lines.subscribe}`,
    `  ${lines.subscribeFromNode}`,
    `  ${lines.publish}`,
    'Ctrl-C stops it.',
    '',
  ].join('\n')
}
