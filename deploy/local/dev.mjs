// `npm run dev`: one node from source, started again whenever one of its files changes, with a log for people.
// Options: `--json` leaves the log as it is; all others go to `breakwater serve`.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { guard } from './guard.mjs'
import { readableLine } from './log-line.mjs'
import { startRedis } from './redis-process.mjs'
import { forwardSignals } from './signals.mjs'
import { main, prepare, root, SetupError } from './toolchain.mjs'

const entry = join(root, 'packages', 'broker', 'src', 'main.ts')

const usage = `npm run dev -- [options]
  --json   leave the log as it is
  --help
  all others are those of \`breakwater serve\`: --config FILE`

await main(async () => {
  if (process.argv.includes('--help')) {
    console.log(usage)
    return
  }
  const { node, env } = await prepare()
  const args = process.argv.slice(2)
  const asJson = args.includes('--json')
  const serveArgs = args.filter((argument) => argument !== '--json')
  // What a configuration file says, or who listens where, is the developer's business.
  if (
    env.BREAKWATER_LISTEN === undefined &&
    !serveArgs.some((each) => each.startsWith('--config'))
  ) {
    env.BREAKWATER_LISTEN = 'mqtts://127.0.0.1:8883,mqtt://127.0.0.1:1883'
    env.BREAKWATER_ALLOW_ANONYMOUS ??= 'true'
  }
  env.BREAKWATER_ADMIN ??= 'http://127.0.0.1:9464'
  // A restart waits for the clients of the node that it ends.
  env.BREAKWATER_SHUTDOWN_TIMEOUT ??= '1s'
  const redis = env.BREAKWATER_REDIS_URL === undefined ? await redisIfAny() : undefined
  if (redis !== undefined) env.BREAKWATER_REDIS_URL = redis.url
  console.log(
    `dev: ${env.BREAKWATER_LISTEN}, ${env.BREAKWATER_ADMIN}/metrics, ${
      env.BREAKWATER_REDIS_URL === undefined ? 'everything in memory' : 'Redis'
    }; it starts again when a file changes, Ctrl-C ends it`,
  )

  const watch = [
    '--watch',
    '--watch-preserve-output',
    '--conditions=source',
    '--inspect=127.0.0.1:0',
  ]
  const child = spawn(node, [...watch, entry, 'serve', ...serveArgs], {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (child.pid === undefined) throw new SetupError(`cannot run ${node}`)
  const release = guard(child.pid)
  const isColoured = process.stdout.isTTY === true && process.env.NO_COLOR === undefined
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) =>
      console.log(asJson ? line : readableLine(line, isColoured)),
    )
  forwardSignals((signal) => child.kill(signal))
  await new Promise((resolve) => child.once('close', resolve))
  release()
  await redis?.stop()
})

/** Sessions outlive a restart with it; without a redis-server on the machine they end with the node. */
async function redisIfAny() {
  try {
    return await startRedis()
  } catch (error) {
    if (error instanceof SetupError) return undefined
    throw error
  }
}
