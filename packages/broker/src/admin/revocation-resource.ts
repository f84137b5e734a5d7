/** `/api/v1/revocations`: who is not let in any more. */
import {
  isRevocationKey,
  normalValue,
  REVOCATION_KEYS,
  revocationId,
  type Revocation,
  type RevocationKey,
} from '../revocation/revocation.ts'
import type { Revocations } from '../revocation/revocations.ts'
import { ApiError, type ApiAnswer } from './api-answer.ts'
import type { ApiRequest } from './api-request.ts'
import { fromStore } from './from-store.ts'
import { isName, NAME_FORM, readNamed } from './named.ts'
import { readObject } from './request-body.ts'

const REASON_CHARACTERS_MAX = 256
const TIME = /^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})$/
const FIELDS: readonly string[] = [...REVOCATION_KEYS, 'until', 'reason']

export interface RevocationResourceOptions {
  readonly revocations: Revocations
  /** Whether the list outlives this process. */
  readonly survivesRestart: boolean
  readonly onChange: (what: 'added' | 'removed', id: string, reason: string | undefined) => void
}

export class RevocationResource {
  readonly #options: RevocationResourceOptions

  constructor(options: RevocationResourceOptions) {
    this.#options = options
  }

  list(): ApiAnswer {
    const { revocations, survivesRestart } = this.#options
    const all = revocations.list().toSorted((one, other) => one.sinceMs - other.sinceMs)
    return { status: 200, body: { revocations: all.map(shown), survivesRestart } }
  }

  async add({ message }: ApiRequest): Promise<ApiAnswer> {
    const { revocations, survivesRestart, onChange } = this.#options
    const wanted = readRevocation(await readObject(message, FIELDS), Date.now())
    const added = await fromStore(revocations.add(wanted))
    if (added === 'full')
      throw new ApiError(
        507,
        'there are revocationsMax revocations, or revocationsBytesMax of them; delete some, or raise it',
      )
    const { revocation, closed } = added
    onChange('added', revocation.id, revocation.reason)
    const body = { revocation: shown(revocation), closedHere: closed, survivesRestart }
    return { status: 201, body }
  }

  async remove(request: ApiRequest): Promise<ApiAnswer> {
    const id = await readNamed(request, 'id')
    const [key = '', ...rest] = id.split(':')
    const value = isRevocationKey(key) ? normalValue(key, rest.join(':')) : undefined
    const known = value === undefined ? id : revocationId(key as RevocationKey, value)
    if (!(await fromStore(this.#options.revocations.remove(known))))
      throw new ApiError(404, 'revocation not found')
    this.#options.onChange('removed', known, undefined)
    return { status: 204 }
  }
}

function readRevocation(
  body: Readonly<Record<string, unknown>>,
  nowMs: number,
): Omit<Revocation, 'id'> {
  const [key, another] = REVOCATION_KEYS.filter((name) => body[name] !== undefined)
  if (key === undefined || another !== undefined)
    throw new ApiError(400, `give one of ${REVOCATION_KEYS.join(', ')}`)
  const { until, reason } = body
  if (reason !== undefined && !isText(reason, REASON_CHARACTERS_MAX))
    throw new ApiError(400, `reason must be a text of at most ${REASON_CHARACTERS_MAX} characters`)
  const untilMs = until === undefined ? undefined : readTime(until, nowMs)
  const fixed = untilMs !== undefined
  return { key, value: readValue(key, body[key]), reason, sinceMs: nowMs, untilMs, fixed }
}

function readValue(key: RevocationKey, given: unknown): string {
  const value = isName(given) ? normalValue(key, given) : undefined
  if (value !== undefined) return value
  const form = {
    serial: 'hexadecimal, as openssl x509 -serial prints it',
    fingerprint: 'the SHA-256 of the certificate, 64 hexadecimal digits',
    clientId: NAME_FORM,
    username: NAME_FORM,
  }[key]
  throw new ApiError(400, `${key} must be ${form}`)
}

function readTime(given: unknown, nowMs: number): number {
  const text = typeof given === 'string' && TIME.test(given) ? given : ''
  // The parser takes the 31st of February for the 3rd of March.
  const isDay = new Date(`${text.slice(0, 10)}T00:00Z`).getUTCDate() === Number(text.slice(8, 10))
  const ms = isDay ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw new ApiError(400, 'until must be a time such as 2027-01-31T00:00:00Z')
  if (ms <= nowMs) throw new ApiError(400, 'until is over')
  return ms
}

function isText(given: unknown, charactersMax: number): given is string {
  return typeof given === 'string' && given.length <= charactersMax
}

function shown({ id, key, value, reason, sinceMs, untilMs }: Revocation): object {
  return {
    id,
    [key]: value,
    since: new Date(sinceMs).toISOString(),
    until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
    ...(reason === undefined ? {} : { reason }),
  }
}
