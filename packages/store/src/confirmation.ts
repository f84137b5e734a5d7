/**
 * What makes a write one that may be acknowledged, beside the answer to it: nothing more, so many replicas that
 * have it, or the server's disk. It is asked on the connection that wrote, behind the write: a server counts
 * for a connection what that connection has written, and nobody else can say it of another server.
 *
 * In: a level and a connection, at the start. Out: the command to ask with, and how its answer is judged.
 */
import { sendTo, type Redis, type Result, type ScriptCall } from '@breakwater/redis'
import type { Argument } from './scripts.ts'
import { loadWrites } from './write-scripts.ts'

/** `stored`: Redis has answered. `replicated:N`: N replicas have it, too. `fsynced`: it is on the disk. */
export type AckLevel = 'stored' | `replicated:${number}` | 'fsynced'

export interface Confirmation {
  /** `waitMs`: how long the server may hold this connection up for it, where it does. */
  readonly command: (waitMs: number) => readonly [string, ...Argument[]]
  /** Whether the server waits: what does not is not asked again at once. */
  readonly waits: boolean
  /** Why an answer is none, in words for an operator; undefined: confirmed. */
  readonly lack: (answer: unknown) => string | undefined
}

/**
 * Undefined at level `stored`. Of several servers the way that each of them knows.
 *
 * @throws {Error} one line: what one of these servers, or this user, is missing
 */
export async function createConfirmation(
  level: AckLevel,
  servers: readonly Redis[],
): Promise<Confirmation | undefined> {
  if (level === 'stored') return undefined
  if (level === 'fsynced') {
    const found = await Promise.all(servers.map(diskOf))
    return found.find(({ waits }) => !waits) ?? found[0]
  }
  const replicas = Number(level.slice(level.indexOf(':') + 1))
  for (const redis of servers) await asked(redis, level, ['wait', 0, 1])
  return replicasOf(replicas)
}

/** Why what was sent is not confirmed. `later`: it may be asked again on this connection. */
export interface Lack {
  readonly error: Error
  readonly later: boolean
}

/** So long others that use the connection are held up at a time. */
const WAIT_MS = 100

/**
 * Sends, and asks behind it whether it may be acknowledged, until it may or the connection would be cut.
 * Nothing is asked on another connection than what it is asked for was sent on.
 */
export async function sendConfirmed(
  redis: Redis | undefined,
  calls: readonly ScriptCall[],
  confirmation: Confirmation,
  cutAtMs: number,
): Promise<{ readonly results: readonly Result[]; readonly lack: Lack | undefined }> {
  const asked = await sendTo(redis, [...calls, confirmation.command(WAIT_MS)], loadWrites)
  const results = asked.slice(0, calls.length)
  let answer = asked[calls.length]
  for (;;) {
    const lack = lackOf(confirmation, answer)
    const over = performance.now() + 2 * WAIT_MS > cutAtMs
    if (lack === undefined || !lack.later || over || !confirmation.waits) return { results, lack }
    // In the turn of the answer before: on the same connection, or on none.
    answer = (await sendTo(redis, [confirmation.command(WAIT_MS)], loadWrites))[0]
  }
}

function lackOf(
  confirmation: Confirmation,
  [error, answer]: Result = [new Error('no answer')],
): Lack | undefined {
  if (error !== null) return { error, later: false }
  const why = confirmation.lack(answer)
  return why === undefined ? undefined : { error: new Error(why), later: true }
}

function replicasOf(wanted: number): Confirmation {
  return {
    command: (waitMs) => ['wait', wanted, waitMs],
    waits: true,
    lack: (answer) =>
      Number(answer) >= wanted ? undefined : `${String(answer)} of ${wanted} replicas have it`,
  }
}

const UNKNOWN_COMMAND = /unknown command/i

/** `WAITAOF` since 7.2; before that, a server that answers no write before its disk has it. */
async function diskOf(redis: Redis): Promise<Confirmation> {
  try {
    await asked(redis, 'fsynced', [...waitAof(1)])
    return { command: waitAof, waits: true, lack: (answer) => diskLack(answer) }
  } catch (error) {
    if (!UNKNOWN_COMMAND.test((error as Error).message)) throw error
  }
  const why = settingsLack(await asked(redis, 'fsynced', [...SETTINGS]))
  if (why !== undefined) throw new Error(`level fsynced before Redis 7.2: ${why}`)
  return { command: () => SETTINGS, waits: false, lack: settingsLack }
}

function waitAof(waitMs: number): readonly [string, ...Argument[]] {
  return ['waitaof', 1, 0, waitMs]
}

function diskLack(answer: unknown): string | undefined {
  return Number((answer as readonly unknown[])[0]) >= 1 ? undefined : 'the disk has not got it yet'
}

/** A write is answered when it is on the disk if all of these are so. */
const NEEDED = {
  appendonly: 'yes',
  appendfsync: 'always',
  'no-appendfsync-on-rewrite': 'no',
} as const
const SETTINGS = ['config', 'get', ...Object.keys(NEEDED)] as const

function settingsLack(answer: unknown): string | undefined {
  const words = (answer as readonly unknown[]).map(String)
  for (const [name, needed] of Object.entries(NEEDED)) {
    const found = words[words.indexOf(name) + 1] ?? ''
    if (found !== needed) return `${name} is ${found}, it must be ${needed}`
  }
  return undefined
}

async function asked(
  redis: Redis,
  level: AckLevel,
  [name, ...words]: readonly Argument[],
): Promise<unknown> {
  try {
    return await redis.callBuffer(String(name), ...words)
  } catch (error) {
    throw new Error(`level ${level}: ${(error as Error).message}`, { cause: error })
  }
}
