/** A Redis master with a replica behind a link that a test can stall: a replica that is up to date, or is not. */
import { Redis } from 'ioredis'
import { startRedisProcess, type RedisProcessOptions, type RedisServer } from './redis-process.ts'
import { startRedisProxy, type RedisProxy } from './redis-proxy.ts'

export interface ReplicatedRedis extends AsyncDisposable {
  readonly master: RedisServer
  readonly replica: RedisServer
  /** The way on which the replica hears of the master. */
  readonly link: RedisProxy
  /** Resolves when the replica has what the master has now. */
  caughtUp(): Promise<void>
  /** The replica is a master from here on. */
  promote(): Promise<void>
}

const PATIENCE_MS = 60_000
const STEP_MS = 10

/** `args` and the program are for both servers; the directory and its disk are for the master. */
export async function startReplicatedRedis(
  args: readonly string[],
  own: { readonly directory?: string; readonly options?: RedisProcessOptions } = {},
): Promise<ReplicatedRedis> {
  await using stack = new AsyncDisposableStack()
  const program = own.options?.program
  const place = own.directory === undefined ? [] : ['--dir', own.directory]
  const first = [...args, '--repl-diskless-sync-delay', '0', ...place]
  const master = stack.use(await startRedisProcess(first, own.options))
  const link = stack.use(await startRedisProxy(master.url))
  const follow = ['--replicaof', '127.0.0.1', new URL(link.url).port]
  const replica = stack.use(await startRedisProcess([...args, ...follow], { program }))
  const replicated = {
    master,
    replica,
    link,
    async caughtUp(): Promise<void> {
      const wanted = await fact(master.url, 'master_repl_offset')
      await until(
        async () =>
          (await fact(replica.url, 'master_link_status')) === 'up' &&
          Number(await fact(replica.url, 'slave_repl_offset')) >= Number(wanted),
      )
    },
    async promote(): Promise<void> {
      await ask(replica.url, (redis) => redis.replicaof('NO', 'ONE'))
    },
  }
  await replicated.caughtUp()
  // The master knows only when the replica has told it.
  await until(async () => /state=online/.test((await fact(master.url, 'slave0')) ?? ''))
  const resources = stack.move()
  return { ...replicated, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** A field of INFO, of any section. */
export async function fact(url: string, field: string): Promise<string | undefined> {
  const info = (await ask(url, (redis) => redis.call('info', 'all'))) as string
  return new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1]
}

/** How often a command was called, or an error was answered. */
export async function countOf(
  url: string,
  kind: 'cmdstat' | 'errorstat',
  name: string,
): Promise<number> {
  const field = await fact(url, `${kind}_${name}`)
  return Number(/(?:calls|count)=(\d+)/.exec(field ?? '')?.[1] ?? 0)
}

export async function ask<Answer>(
  url: string,
  question: (redis: Redis) => Promise<Answer>,
): Promise<Answer> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0 })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    return await question(redis)
  } finally {
    redis.disconnect()
  }
}

/** Asks until it holds; an error ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${holds.toString()} did not come to hold`)
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
}
