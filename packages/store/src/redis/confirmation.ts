/**
 * What makes a write one that may be acknowledged, beside the answer to it: nothing more, so many replicas that
 * have it, or the server's disk. It is asked on the connection that wrote, behind the write: a server counts
 * for a connection what that connection has written, and nobody else can say it of another server.
 *
 * In: calls to one server. Out: their results, and whether they may be acknowledged. One question at most waits
 * to be sent per connection: it covers what all writers have sent in a turn.
 */
import {
  failureOf,
  sendTo,
  UnfitRedis,
  type Redis,
  type Result,
  type ScriptCall,
} from '@breakwater/redis'
import type { Argument } from '../scripts/scripts.ts'
import { loadWrites } from '../scripts/write-scripts.ts'

/** `stored`: Redis has answered. `replicated:N`: N replicas have it, too. `fsynced`: it is on the disk. */
export type AckLevel = 'stored' | `replicated:${number}` | 'fsynced'

interface Question {
  readonly words: readonly [string, ...Argument[]]
  /** Whether the server waits: what does not is not asked again at once. */
  readonly waits: boolean
  /** Why an answer is none, in words for an operator; undefined: confirmed. */
  readonly lack: (answer: unknown) => string | undefined
}

/** Why what was sent is not confirmed. `later`: it may be asked again on this connection. */
export interface Lack {
  readonly error: Error
  readonly later: boolean
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
    return new Confirmation(found.find(({ waits }) => !waits) ?? (found[0] as Question))
  }
  const replicas = Number(level.slice(level.indexOf(':') + 1))
  for (const redis of servers) await asked(redis, level, ['wait', 0, 1])
  return new Confirmation(replicasOf(replicas))
}

/** So long the server holds a connection up at a time: others use it, too. */
const WAIT_MS = 100

export class Confirmation {
  readonly #question: Question
  /** Not sent yet. */
  readonly #asked = new WeakMap<Redis, Promise<Result>>()

  constructor(question: Question) {
    this.#question = question
  }

  /**
   * Sends, and asks behind it whether it may be acknowledged, until it may or the connection would be cut.
   * Nothing is asked on another connection than what it is asked for was sent on.
   *
   * @throws {Error} nothing was sent
   */
  async send(
    redis: Redis | undefined,
    calls: readonly ScriptCall[],
    cutAtMs: number,
  ): Promise<{ readonly results: readonly Result[]; readonly lack: Lack | undefined }> {
    const sent = sendTo(redis, calls, loadWrites)
    const first = redis === undefined ? undefined : this.#ask(redis)
    const results = await sent
    let answer = await first
    for (;;) {
      const lack = this.#lackOf(answer)
      const over = performance.now() + 2 * WAIT_MS > cutAtMs
      const mayAsk = lack?.later === true && !over && this.#question.waits
      if (!mayAsk || redis === undefined) return { results, lack }
      // In the turn of the answer before: on the same connection, or on none.
      answer = await this.#ask(redis)
    }
  }

  /** Behind everything that is sent in this turn. Never rejects. */
  #ask(redis: Redis): Promise<Result> {
    const known = this.#asked.get(redis)
    if (known !== undefined) return known
    const { promise, resolve } = Promise.withResolvers<Result>()
    this.#asked.set(redis, promise)
    setImmediate(() => {
      this.#asked.delete(redis)
      sendTo(redis, [this.#question.words], loadWrites).then(
        ([result]) => resolve(result ?? NO_ANSWER),
        (error: Error) => resolve([error]),
      )
    })
    return promise
  }

  #lackOf([error, answer]: Result = NO_ANSWER): Lack | undefined {
    if (error !== null) return { error, later: false }
    const why = this.#question.lack(answer)
    return why === undefined ? undefined : { error: new Error(why), later: true }
  }
}

const NO_ANSWER: Result = [new Error('no answer')]

function replicasOf(wanted: number): Question {
  return {
    words: ['wait', wanted, WAIT_MS],
    waits: true,
    lack: (answer) =>
      Number(answer) >= wanted ? undefined : `${String(answer)} of ${wanted} replicas have it`,
  }
}

const UNKNOWN_COMMAND = /unknown command/i

/** `WAITAOF` since 7.2; before that, a server that answers no write before its disk has it. */
async function diskOf(redis: Redis): Promise<Question> {
  try {
    await asked(redis, 'fsynced', [...waitAof(1)])
    return { words: waitAof(WAIT_MS), waits: true, lack: diskLack }
  } catch (error) {
    if (!UNKNOWN_COMMAND.test((error as Error).message)) throw error
  }
  const why = settingsLack(await asked(redis, 'fsynced', [...SETTINGS]))
  if (why !== undefined) throw new UnfitRedis(`level fsynced before Redis 7.2: ${why}`)
  return { words: SETTINGS, waits: false, lack: settingsLack }
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
    const { message } = error as Error
    // The rights of a user, and a server that is away, may change.
    const isLasting = failureOf(error as Error).again !== true && !message.startsWith('NOPERM')
    const Fault = isLasting ? UnfitRedis : Error
    throw new Fault(`level ${level}: ${message}`, { cause: error })
  }
}
