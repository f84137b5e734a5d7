/**
 * Asks a service of the operator's who a client is: POST with JSON
 *
 *   {"clientId", "username", "password" (base64), "certificate", "peer"}
 *
 * and an answer 200 with {"result": "allow" | "deny" | "ignore", "username"?, "claims"?, "expiresAt"? (s)}.
 * Anything else is no answer. Right answers are remembered for a while, under a key that never leaves this
 * process, so that a crowd that comes back does not fall upon the service as well.
 *
 * Bounds: `timeoutMs` per question, REQUESTS_MAX at once, `cacheMs` and CACHE_MAX answers remembered. After
 * FAILURES_MAX failures in a row nobody is asked for OPEN_MS: clients are told that the server is unavailable.
 */
import { createHmac, randomBytes } from 'node:crypto'
import * as v from 'valibot'
import type { Answer, Authenticator, Credentials, Recall } from './answer.ts'

export interface HttpHookOptions {
  readonly url: URL
  readonly timeoutMs: number
  /** 0: every CONNECT is asked about. */
  readonly cacheMs: number
}

interface Remembered {
  readonly answer: Answer
  readonly until: number
}

const REQUESTS_MAX = 256
const CACHE_MAX = 100_000
const FAILURES_MAX = 5
const OPEN_MS = 5_000
const ANSWER_BYTES_MAX = 65_536

const answerSchema = v.object({
  result: v.picklist(['allow', 'deny', 'ignore']),
  username: v.optional(v.string()),
  claims: v.optional(v.record(v.string(), v.unknown())),
  expiresAt: v.optional(v.number()),
})

export class HttpHook {
  readonly #options: HttpHookOptions
  readonly #remembered = new Map<string, Remembered>()
  readonly #key = randomBytes(32)
  #asking = 0
  #failures = 0
  #closedUntil = 0

  constructor(options: HttpHookOptions) {
    this.#options = options
  }

  readonly authenticate: Authenticator = async (credentials) => {
    const mark = this.#markOf(credentials)
    const known = this.#recall(mark)
    if (known !== undefined) return known
    if (performance.now() < this.#closedUntil)
      return unavailable(`it failed ${FAILURES_MAX} times and is left alone`)
    if (this.#asking >= REQUESTS_MAX) return unavailable(`${REQUESTS_MAX} questions are under way`)
    this.#asking += 1
    try {
      const answer = await this.#ask(credentials)
      this.#failures = 0
      if (answer !== undefined && !('refused' in answer)) this.#remember(mark, answer)
      return answer
    } catch (error) {
      this.#failures += 1
      // One question at a time, until it answers again.
      if (this.#failures >= FAILURES_MAX) this.#closedUntil = performance.now() + OPEN_MS
      return unavailable((error as Error).message)
    } finally {
      this.#asking -= 1
    }
  }

  /** A right answer that it gave before. */
  readonly recall: Recall = (credentials) => this.#recall(this.#markOf(credentials))

  #recall(mark: string): Answer | undefined {
    const known = this.#remembered.get(mark)
    return known !== undefined && known.until > Date.now() ? known.answer : undefined
  }

  async #ask({
    clientId,
    username,
    password,
    certificate,
    peer,
  }: Credentials): Promise<Answer | undefined> {
    const { url, timeoutMs } = this.#options
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({
        clientId,
        username,
        password: password?.toString('base64'),
        certificate,
        peer,
      }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await bounded(response)
    if (response.status !== 200) throw new Error(`answered ${response.status}`)
    const { result, expiresAt, claims, ...said } = v.parse(answerSchema, JSON.parse(text))
    if (result === 'ignore') return undefined
    if (result === 'deny') return { refused: 'bad-credentials' }
    return {
      username: said.username ?? username,
      ...(claims === undefined ? {} : { claims }),
      ...(expiresAt === undefined ? {} : { expiresAt: expiresAt * 1_000 }),
    }
  }

  #remember(mark: string, answer: Answer): void {
    const { cacheMs } = this.#options
    if (cacheMs === 0) return
    const expiresAt = 'refused' in answer ? undefined : answer.expiresAt
    const until = Math.min(Date.now() + cacheMs, expiresAt ?? Infinity)
    this.#remembered.delete(mark)
    this.#remembered.set(mark, { answer, until })
    if (this.#remembered.size <= CACHE_MAX) return
    const [oldest] = this.#remembered.keys()
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }

  #markOf({ clientId, username, password, certificate }: Credentials): string {
    const text = JSON.stringify([clientId, username, password?.toString('base64'), certificate])
    return createHmac('sha256', this.#key).update(text).digest('base64')
  }
}

function unavailable(detail: string): Answer {
  return { refused: 'authentication-unavailable', detail }
}

async function bounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`answered more than ${ANSWER_BYTES_MAX} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}
