/**
 * What may happen to a Redis, done for real, by the words that docs/GUARANTEES.md has for it. A fault begins when
 * one message has been acknowledged; a second one is published under it; then it ends.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { keysWith } from '@breakwater/redis'
import { findProgram } from '../kit/program.ts'
import { startRedisProcess, type RedisServer } from '../kit/redis/redis-process.ts'
import type { RedisProxy } from '../kit/redis/redis-proxy.ts'
import { ask, countOf, fact, until, type ReplicatedRedis } from '../kit/redis/redis-replica.ts'
import { missingForSlowDisk, slowDown } from '../kit/slow-disk.ts'

export interface Scene {
  readonly master: RedisServer
  /** Where a level or a fault needs one. */
  readonly replicated: ReplicatedRedis | undefined
  /** The way of the node to Redis. */
  readonly proxy: RedisProxy
  /** Of the master. */
  readonly directory: string
  readonly args: readonly string[]
  readonly program: 'valkey-server' | undefined
  readonly prefix: string
  /** Which queue the messages go to. */
  readonly clientId: string
  readonly servers: AsyncDisposableStack
}

export interface Fault {
  readonly args: readonly string[]
  readonly needs?: 'replica' | 'disk' | undefined
  /** Why this machine cannot have it. */
  readonly missing?: () => string | undefined
  /** What begins before the second message is published, and ends what it has made. */
  readonly begin?: (scene: Scene) => Promise<(() => Promise<void>) | void>
  /** Beginning and end are one: the second message is published into it. */
  readonly momentary?: boolean
  /** The server's word for a write that it refuses meanwhile. */
  readonly error?: string
  /** The error for blocked commands: at the first one all connections leave this server and look for the master. */
  readonly leaving?: string
  /** Resolves with the address at which what is left can be read. */
  readonly end: (scene: Scene) => Promise<string>
}

const ALWAYS = ['--appendonly', 'yes', '--appendfsync', 'always']
const EVERYSEC = ['--appendonly', 'yes', '--appendfsync', 'everysec']

export const faults: Readonly<Record<string, Fault>> = {
  'killed, started again from its append-only file, `appendfsync always`': {
    args: ALWAYS,
    end: restart,
  },
  'the same with `appendfsync everysec`, on a disk that was slow': {
    args: EVERYSEC,
    missing: () => missingForSlowDisk(),
    async begin({ master }) {
      const disk = await slowDown(master.pid as number)
      const isStuck = async (): Promise<boolean> => {
        await ask(master.url, (redis) => redis.set('some', 'word'))
        return (await fact(master.url, 'aof_pending_bio_fsync')) !== '0'
      }
      await until(isStuck)
      return () => disk.release()
    },
    end: restart,
  },
  'killed, started again without an append-only file': { args: [], end: restart },
  'replaced by a replica that has everything': {
    args: ALWAYS,
    needs: 'replica',
    async end(scene) {
      await scene.replicated?.caughtUp()
      return await failOver(scene)
    },
  },
  'replaced by a replica that is behind': {
    args: ALWAYS,
    needs: 'replica',
    begin: async ({ replicated }) => replicated?.link.stall(),
    end: failOver,
  },
  'the connection is cut': {
    args: ALWAYS,
    momentary: true,
    async end({ proxy, master }) {
      proxy.cut()
      return master.url
    },
  },
  'a reply is lost': {
    args: ALWAYS,
    momentary: true,
    begin: async ({ proxy }) => proxy.silence(),
    async end({ proxy, master, prefix, clientId }) {
      const queue = keysWith(prefix).queue(clientId)
      await until(async () => (await ask(master.url, (redis) => redis.xlen(queue))) === 2)
      proxy.cut()
      return master.url
    },
  },
  'out of memory (`OOM`)': {
    args: ALWAYS,
    error: 'OOM',
    begin: ({ master }) => set(master, 'maxmemory', '1'),
    async end({ master }) {
      await set(master, 'maxmemory', '0')
      return master.url
    },
  },
  'made a replica (`READONLY`)': {
    args: ALWAYS,
    error: 'READONLY',
    leaving: 'UNBLOCKED',
    begin: async ({ master }) =>
      void (await ask(master.url, (redis) => redis.replicaof('127.0.0.1', 1))),
    async end({ master }) {
      await ask(master.url, (redis) => redis.replicaof('NO', 'ONE'))
      return master.url
    },
  },
  'snapshots fail (`MISCONF`)': {
    args: [...ALWAYS, '--save', '3600 1000000'],
    error: 'MISCONF',
    async begin({ master, directory }) {
      mkdirSync(join(directory, 'dump.rdb', 'taken'), { recursive: true })
      await snapshot(master, 'err')
    },
    async end({ master, directory }) {
      rmSync(join(directory, 'dump.rdb'), { recursive: true })
      await snapshot(master, 'ok')
      return master.url
    },
  },
  'the disk of the append-only file is full, `appendfsync everysec`': {
    args: EVERYSEC,
    needs: 'disk',
    missing: () => missingForDisk(),
    error: 'MISCONF',
    async begin(scene) {
      const { master } = scene
      fill(scene)
      const isFull = async (): Promise<boolean> => {
        await ask(master.url, (redis) => redis.set('some', 'x'.repeat(1_000))).catch(() => '')
        return (await fact(master.url, 'aof_last_write_status')) === 'err'
      }
      await until(isFull)
    },
    async end(scene) {
      rmSync(filler(scene))
      return scene.master.url
    },
  },
}

function missingForDisk(): string | undefined {
  const unshare = findProgram('unshare')
  if (unshare === undefined) return 'unshare not installed'
  return spawnSync(unshare, ['--mount', 'true']).status === 0 ? undefined : 'no right to mount'
}

/**
 * Resolves when the server has refused a write, or was asked for a confirmation, several times in vain; or when
 * the message has been acknowledged all the same.
 */
export async function heldBack(
  { master }: Scene,
  { error, leaving }: Fault,
  isAcknowledged: () => boolean,
): Promise<void> {
  const asked = async (): Promise<number> => {
    const refusals = (name: string): Promise<number> => countOf(master.url, 'errorstat', name)
    if (leaving !== undefined) return (await refusals(leaving)) + (await refusals('READONLY'))
    if (error !== undefined) return await refusals(error)
    const count = (name: string): Promise<number> => countOf(master.url, 'cmdstat', name)
    return (await count('wait')) + (await count('waitaof'))
  }
  const enough = leaving !== undefined ? 1 : (await asked()) + 4
  await until(async () => isAcknowledged() || (await asked()) >= enough)
}

async function restart({
  master,
  proxy,
  directory,
  args,
  program,
  servers,
}: Scene): Promise<string> {
  process.kill(master.pid as number, 'SIGKILL')
  const again = servers.use(await startRedisProcess([...args, '--dir', directory], { program }))
  proxy.moveTo(again.url)
  return again.url
}

async function failOver({ master, proxy, replicated }: Scene): Promise<string> {
  process.kill(master.pid as number, 'SIGKILL')
  if (replicated === undefined) throw new Error('there is no replica')
  await replicated.promote()
  proxy.moveTo(replicated.replica.url)
  return replicated.replica.url
}

function set({ url }: RedisServer, name: string, value: string): Promise<void> {
  return ask(url, async (redis) => void (await redis.config('SET', name, value)))
}

async function snapshot({ url }: RedisServer, wanted: 'ok' | 'err'): Promise<void> {
  await ask(url, (redis) => redis.bgsave())
  await until(async () => (await fact(url, 'rdb_last_bgsave_status')) === wanted)
}

/** The disk belongs to the process: others see it through that. */
function filler({ master, directory }: Scene): string {
  return join(`/proc/${master.pid}/root`, directory, 'filler')
}

function fill(scene: Scene): void {
  const chunk = Buffer.alloc(4_096)
  try {
    for (;;) writeFileSync(filler(scene), chunk, { flag: 'a' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
