/**
 * The table of docs/GUARANTEES.md that says which faults of Redis an acknowledged message survives at which
 * level, cell by cell: the words of the cell are what happened here.
 */
import { describe, expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { findProgram, skipWithout } from '../kit/program.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { ask, startReplicatedRedis } from '../kit/redis/redis-replica.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'
import { tableRows } from '../tidy/markdown-table.ts'
import { faults, heldBack, type Fault, type Scene } from './acknowledgement-faults.ts'
import { connectAt, receiveUntil } from './cluster.ts'

const LEVELS = ['stored', 'replicated:1', 'fsynced'] as const
type Level = (typeof LEVELS)[number]
const WORDS = ['kept', 'may be lost', 'no acknowledgement', 'refused at the start'] as const
type Word = (typeof WORDS)[number]

const TOPIC = 't'
const PREFIX = 'levels:'
/** A message that may be lost is not lost each time: the fault is repeated until it is. */
const TRIES_MAX = 5
const DISK_BYTES = 16_777_216
const TIMEOUT_MS = 120_000
const slow = { timeoutMs: 90_000 }
const limits = { storeTimeoutMs: 60_000 }

const rows = tableRows('GUARANTEES.md').filter((row) => row.length === 1 + LEVELS.length)
const head = rows.findIndex((row) => row.includes('`fsynced`'))
const cells = rows
  .slice(head + 1)
  .flatMap(([fault = '', ...words]) =>
    LEVELS.map((level, index) => ({ fault, level, word: words[index] as Word })),
  )

it('the table of acknowledgement levels in docs/GUARANTEES.md has a row for every fault and a known word in every cell', () => {
  expect(rows[head]?.slice(1)).toEqual(LEVELS.map((level) => `\`${level}\``))
  expect([...new Set(cells.map(({ fault }) => fault))]).toEqual(Object.keys(faults))
  for (const { word } of cells) expect(WORDS).toContain(word)
})

describe.concurrent('an acknowledged message when Redis is', () => {
  for (const { fault: name, level, word } of cells)
    it(
      `${name}: at level ${level} the outcome is "${word}"`,
      async (context) => {
        skipWithout(context, 'redis-server')
        const fault = faults[name] as Fault
        const why = fault.missing?.()
        if (why !== undefined) context.skip(why)
        let happened = await outcome(fault, level, word)
        for (let tries = 1; tries < TRIES_MAX && happened !== word; tries += 1) {
          if (word !== 'may be lost' || happened !== 'kept') break
          happened = await outcome(fault, level, word)
        }
        expect(happened).toBe((await canBeAsked(fault, level)) ? word : 'refused at the start')
      },
      TIMEOUT_MS,
    )
})

const valkey = findProgram('valkey-server') === undefined ? undefined : ('valkey-server' as const)

/** Before Redis 7.2 a server that does not sync always cannot say what is on its disk; Valkey can. */
async function canBeAsked(fault: Fault, level: Level): Promise<boolean> {
  if (level !== 'fsynced' || fault.args.includes('always')) return true
  return valkey !== undefined || (await confirmsDisk())
}

/** One node at this level, a message before the fault and one under it, and what is left of them. */
async function outcome(fault: Fault, level: Level, expected: Word): Promise<Word> {
  await using servers = new AsyncDisposableStack()
  const scene = await sceneOf(fault, level, servers)
  const { proxy, clientId, prefix } = scene
  const settings = {
    limits,
    redisUrl: proxy.url,
    redisPrefix: prefix,
    environment: { BREAKWATER_ACK: level, BREAKWATER_SHUTDOWN_TIMEOUT: '1s' },
  }
  const node = await startNode(settings).catch((error: Error) => {
    expect(error.message).toMatch(/level fsynced/)
  })
  if (node === undefined) return 'refused at the start'
  // Gone before the servers are: one that is started again later comes into the other stack.
  await using stack = new AsyncDisposableStack()
  stack.use(node)
  const away = stack.use(await connectAt(node, { clientId, clean: false }, slow))
  await away.subscribe([TOPIC, 1])
  await away.disconnect()
  const publisher = stack.use(await connectAt(node, {}, slow))
  await publisher.publish({ topic: TOPIC, payload: 'before', qos: 1 })
  await scene.replicated?.caughtUp()

  const tidyUp = await fault.begin?.(scene)
  let isAcknowledged = false
  const acknowledged = publisher
    .publish({ topic: TOPIC, payload: 'under it', qos: 1 })
    .then(() => (isAcknowledged = true))
  acknowledged.catch(() => undefined)
  if (expected === 'no acknowledgement') await heldBack(scene, fault, () => isAcknowledged)
  else if (fault.momentary !== true) await acknowledged
  const wasAcknowledged = isAcknowledged
  const ended = fault.end(scene)
  await tidyUp?.()
  const left = await ended
  // A server that works again takes what it has refused; one that is gone has taken it with it.
  if (fault.momentary === true || fault.error !== undefined) await acknowledged
  const found = await survivors(left, scene)

  if (fault.momentary === true) expect(found).toEqual(['before', 'under it'])
  if (!wasAcknowledged && fault.momentary !== true) {
    expect(found).toContain('before')
    if (fault.error !== undefined) expect(found).toEqual(['before', 'under it'])
    return 'no acknowledgement'
  }
  return found.includes('before') && found.includes('under it') ? 'kept' : 'may be lost'
}

async function sceneOf(fault: Fault, level: Level, servers: AsyncDisposableStack): Promise<Scene> {
  const directory = temporaryDirectory('levels-')
  const wantsDisk = level === 'fsynced' && !fault.args.includes('always')
  const program = wantsDisk && !(await confirmsDisk()) ? valkey : undefined
  const { args } = fault
  const place = ['--dir', directory]
  const disk = fault.needs === 'disk' ? { directory, bytes: DISK_BYTES } : undefined
  const options = { program, disk }
  const needsReplica = fault.needs === 'replica' || level === 'replicated:1'
  const replicated = needsReplica
    ? servers.use(await startReplicatedRedis(args, { directory, options }))
    : undefined
  const master =
    replicated?.master ?? servers.use(await startRedisProcess([...args, ...place], options))
  const proxy = servers.use(await startRedisProxy(master.url))
  const clientId = 'away'
  return { master, replicated, proxy, directory, args, program, prefix: PREFIX, clientId, servers }
}

/** What the session still gets, at a node that starts anew. */
async function survivors(url: string, { prefix, clientId }: Scene): Promise<string[]> {
  await using node = await startNode({ redisUrl: url, redisPrefix: prefix })
  await using away = await WireClient.open(node, slow)
  const { sessionPresent } = await away.connect({ clientId, clean: false })
  if (!sessionPresent) return []
  await using publisher = await connectAt(node, {}, slow)
  await publisher.publish({ topic: TOPIC, payload: 'the end', qos: 1 })
  return await receiveUntil(away, 'the end')
}

let answered: Promise<boolean> | undefined

/** Whether the server that tests use can say what is on its disk. */
async function confirmsDisk(): Promise<boolean> {
  answered ??= (async () => {
    await using server = await startRedisProcess([])
    const [found] = (await ask(server.url, (redis) =>
      redis.call('command', 'info', 'waitaof'),
    )) as unknown[]
    return found !== null
  })()
  return await answered
}
