/** The one way in which a test obtains Redis: `await using redis = await startRedis()`. */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { findProgram } from '../program.ts'
import { startRedisContainer } from './redis-container.ts'
import { findRedisMode, type RedisMode } from './redis-mode.ts'
import { startRedisProcess, type RedisServer } from './redis-process.ts'

export interface TestRedis extends AsyncDisposable {
  readonly url: string
  /** Starts every key and channel of this test; the server behind `url` may be shared. */
  readonly prefix: string
  readonly mode: RedisMode
  /** Of the redis-server, where it is a child of this process: to stop, continue or kill it. */
  readonly pid?: number
}

/**
 * A server of the test's own, empty, on a free port; or, with BREAKWATER_TEST_REDIS_URL, a prefix of
 * its own on that server. `args` are for redis-server; with an external Redis a test that gives some
 * gets a server of its own all the same, from the machine's redis-server.
 */
export async function startRedis(options: { args?: readonly string[] } = {}): Promise<TestRedis> {
  const { args = [] } = options
  const mode = await availableMode(args)
  const prefix = `test-${randomBytes(6).toString('hex')}:`
  if (mode === 'external') return external(prefix)
  const server = await startServer(mode, args)
  return { ...server, mode, prefix }
}

async function availableMode(args: readonly string[]): Promise<RedisMode> {
  const { mode, passedOver } = await findRedisMode()
  if (mode === undefined) {
    const why = [...passedOver, 'redis-server not installed'].join('; ')
    throw new Error(`no Redis for the tests: ${why} (or set BREAKWATER_TEST_REDIS_URL)`)
  }
  if (mode !== 'external' || args.length === 0) return mode
  if (findProgram('redis-server') !== undefined) return 'process'
  throw new Error(`this test starts Redis with ${args.join(' ')}: redis-server not installed`)
}

function startServer(
  mode: Exclude<RedisMode, 'external'>,
  args: readonly string[],
): Promise<RedisServer> {
  return mode === 'container' ? startRedisContainer(args) : startRedisProcess(args)
}

async function external(prefix: string): Promise<TestRedis> {
  const url = process.env['BREAKWATER_TEST_REDIS_URL']
  if (url === undefined) throw new Error('BREAKWATER_TEST_REDIS_URL is not set')
  await withClient(url, (client) => client.ping())
  return {
    url,
    prefix,
    mode: 'external',
    [Symbol.asyncDispose]: () => withClient(url, (client) => removeKeys(client, prefix)),
  }
}

async function withClient(url: string, use: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0 })
  // Without a listener ioredis prints the error; the awaited call below throws it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await use(client)
  } finally {
    client.disconnect()
  }
}

async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    const batch = keys as string[]
    if (batch.length > 0) await client.unlink(...batch)
  }
}
