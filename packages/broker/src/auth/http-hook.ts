/**
 * Asks a service of the operator's who a client is: POST with JSON
 *
 *   {"clientId", "username", "password" (base64), "certificate", "peer"}
 *
 * and an answer 200 with {"result": "allow" | "deny" | "ignore", "username"?, "claims"?, "expiresAt"? (s)}.
 * Anything else is no answer, for this one login. Right answers are remembered for a while, under a key that
 * never leaves this process and for everything that was asked, the port of the client's address excepted. What is
 * not remembered waits for its turn (`login-queue.ts`).
 *
 * Bounds: `authHttpTimeoutMs` per question, `authHttpRequestsMax` at once, `authHttpCacheMs` and those of
 * `answer-cache.ts`. A service that cannot be reached, is too slow or answers 5xx five times in a row is not asked for
 * `authHttpPauseMs` (`breaker.ts`): clients are told that the server is unavailable.
 */
import { createHmac, randomBytes } from 'node:crypto'
import * as v from 'valibot'
import type { Answer, Authenticator, Credentials } from './answer.ts'
import { AnswerCache } from './answer-cache.ts'
import { Breaker } from './breaker.ts'
import { loginEnd } from './login-end.ts'
import type { LoginQueue } from './login-queue.ts'
import { ServiceFailure, type ServiceAnswer, type ServiceClient } from './service-client.ts'

export interface HttpHookOptions {
  readonly client: ServiceClient
  /** 0: every CONNECT is asked about. */
  readonly cacheMs: number
  readonly requestsMax: number
  /** How long a service that fails is not asked. */
  readonly pauseMs: number
  /** Makes that of the questions; as many as `places` says are asked at once. */
  readonly queue: (places: () => number) => LoginQueue
}

/** An answer, and what it takes to remember it. */
interface Told {
  readonly answer: Answer | undefined
  readonly bytes: number
}

/** What a login takes beside what the client has sent. */
const OVERHEAD_BYTES = 1_024

const answerSchema = v.object({
  result: v.picklist(['allow', 'deny', 'ignore']),
  username: v.optional(v.string()),
  claims: v.optional(v.record(v.string(), v.unknown())),
  expiresAt: v.optional(v.unknown()),
})

export class HttpHook {
  readonly #options: HttpHookOptions
  readonly #remembered = new AnswerCache()
  readonly #breaker: Breaker
  readonly #key = randomBytes(32)
  readonly #queue: LoginQueue

  constructor(options: HttpHookOptions) {
    this.#options = options
    this.#breaker = new Breaker(options.pauseMs)
    this.#queue = options.queue(() => (this.#breaker.careful ? 1 : options.requestsMax))
  }

  readonly authenticate: Authenticator = async (credentials) => {
    const { clientId, username, password, network, client, deadlineMs } = credentials
    const mark = this.#markOf(credentials)
    const known = this.#remembered.find(mark)
    if (known !== undefined) return known
    // Without a user name there is none whose tokens could be used up: each client stands for itself.
    const flow = username ?? `\0${clientId}`
    const bytes = OVERHEAD_BYTES + flow.length + clientId.length + (password?.length ?? 0)
    const login = { username: flow, network, mark, bytes, client, deadlineMs, isFree: false }
    return await this.#queue.ask(login, () => this.#check(flow, mark, credentials))
  }

  async #check(flow: string, mark: string, credentials: Credentials): Promise<Answer | undefined> {
    const { host } = this.#options.client
    if (!this.#breaker.begins(flow)) return unavailable(`${host}: ${this.#breaker.reason}`)
    let given: ServiceAnswer
    try {
      given = await this.#ask(credentials)
    } catch (error) {
      const { isOutage, message } = error as ServiceFailure
      if (isOutage) this.#breaker.failed(flow)
      else this.#breaker.succeeded()
      return unavailable(message)
    }
    this.#breaker.succeeded()
    try {
      const { answer, bytes } = read(given, credentials.username)
      if (answer !== undefined && !('refused' in answer)) this.#remember(mark, flow, answer, bytes)
      return answer
    } catch (error) {
      return unavailable(`${host}: ${(error as Error).message}`)
    }
  }

  /** @throws {ServiceFailure} there is no answer */
  async #ask(credentials: Credentials): Promise<ServiceAnswer> {
    const { clientId, username, password, certificate, peer } = credentials
    const { client } = this.#options
    const answer = await client.post({
      clientId,
      username,
      password: password?.toString('base64'),
      certificate,
      peer,
    })
    if (answer.status >= 500)
      throw new ServiceFailure(`${client.host}: answered with status ${answer.status}`, true)
    return answer
  }

  #remember(mark: string, flow: string, answer: Answer, bytes: number): void {
    const { cacheMs } = this.#options
    if (cacheMs === 0) return
    const expiresAt = 'refused' in answer ? undefined : answer.expiresAt
    const until = Math.min(Date.now() + cacheMs, expiresAt ?? Infinity)
    this.#remembered.add(mark, flow, answer, until, bytes)
  }

  #markOf({ clientId, username, password, certificate, peer }: Credentials): string {
    const address = peer.slice(0, peer.lastIndexOf(':'))
    const asked = [clientId, username, password?.toString('base64'), certificate, address]
    return createHmac('sha256', this.#key).update(JSON.stringify(asked)).digest('base64')
  }
}

/** @throws {Error} it is no answer to the question */
function read({ status, text }: ServiceAnswer, asked: string | undefined): Told {
  if (status !== 200) throw new Error(`answered with status ${status}`)
  const parsed = v.safeParse(answerSchema, parse(text))
  if (!parsed.success) throw new Error(`answered something else: ${parsed.issues[0].message}`)
  const { result, expiresAt, claims, username } = parsed.output
  const bytes = OVERHEAD_BYTES + text.length
  if (result === 'ignore') return { answer: undefined, bytes }
  if (result === 'deny') return { answer: { refused: 'bad-credentials' }, bytes }
  const end = loginEnd(expiresAt)
  if (expiresAt !== undefined && end === undefined)
    throw new Error(`answered with an expiresAt that is not a date: ${shown(expiresAt)}`)
  const answer = {
    // As in CONNECT, a user name of length 0 is none.
    username: username === '' ? asked : (username ?? asked),
    ...(claims === undefined ? {} : { claims }),
    ...(end === undefined ? {} : { expiresAt: end }),
  }
  return { answer, bytes }
}

/** @throws {Error} without the text, which may hold what is nobody's business */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error('answered no JSON', { cause })
  }
}

function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : typeof value
}

function unavailable(detail: string): Answer {
  return { refused: 'authentication-unavailable', detail }
}
