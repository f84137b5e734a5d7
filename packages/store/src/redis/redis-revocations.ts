/**
 * Revocations in Redis: one hash, with its version in it, so that whoever reads all reads the version to it.
 * Versions are the server's time in µs: a server that has lost some does not come by the same again.
 */
import { fieldsOf, type Keys, type OnBadValue, type Servers } from '@breakwater/redis'
import type {
  RevocationAnswer,
  RevocationChange,
  RevocationSnapshot,
  RevocationStore,
} from '../revocations.ts'
import { evaluate, script, type Script } from '../scripts/scripts.ts'

const VERSION = 'version'
const RESTORED = 'restored'
/** Entries that one script puts back: so long it holds the server up. */
const RESTORE_ENTRIES = 1_000

const RAISE = `local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local function raise(least)
  local version = math.max(now_us, least + 1)
  redis.call('HSET', KEYS[1], '${VERSION}', string.format('%.0f', version))
  return string.format('%.0f', version)
end
`

/**
 * Key: revocations. Arguments: version that the caller knows, entries max, id, whether the entry must be a
 * certain text now, that text, whether it is to stay, its new text, from when on (ms). Returns a word and two
 * versions.
 */
const CHANGE: Script = script(
  `${RAISE}local previous = redis.call('HGET', KEYS[1], '${VERSION}') or '0'
if tonumber(ARGV[1]) > tonumber(previous) then return {'behind', previous, previous} end
local now = redis.call('HGET', KEYS[1], ARGV[3])
if ARGV[4] == '1' and now ~= ARGV[5] then return {'unchanged', previous, previous} end
if now_us < tonumber(ARGV[8]) * 1000 then return {'unchanged', previous, previous} end
if ARGV[6] == '0' then
  if not now then return {'unchanged', previous, previous} end
  redis.call('HDEL', KEYS[1], ARGV[3])
else
  local entries = redis.call('HLEN', KEYS[1])
  for _, field in ipairs({'${VERSION}', '${RESTORED}'}) do
    entries = entries - redis.call('HEXISTS', KEYS[1], field)
  end
  if not now and entries >= tonumber(ARGV[2]) then return {'full', previous, previous} end
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[7])
end
return {'done', previous, raise(tonumber(previous))}`,
)

/** Key: revocations. Arguments: version that the caller knows, then id and text in turn. */
const RESTORE: Script = script(
  `${RAISE}for index = 2, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[index], ARGV[index + 1]) end
local version = redis.call('HGET', KEYS[1], '${VERSION}') or '0'
local raised = raise(math.max(tonumber(version), tonumber(ARGV[1])))
if tonumber(version) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], '${RESTORED}', raised) end
return raised`,
)

export interface RedisRevocationsOptions {
  readonly control: Servers
  readonly keys: Keys
  readonly onBadValue: OnBadValue
}

export class RedisRevocations implements RevocationStore {
  readonly #control: Servers
  readonly #key: string
  readonly #onBadValue: OnBadValue

  constructor({ control, keys, onBadValue }: RedisRevocationsOptions) {
    this.#control = control
    this.#onBadValue = onBadValue
    this.#key = keys.clusterRevocations
  }

  async read(known: number): Promise<RevocationSnapshot | undefined> {
    const key = this.#key
    const now = Number((await this.#control.call(key, 'hget', key, VERSION)) ?? 0)
    // One that is no number is never the one that is known.
    if (now === known) return undefined
    if (Number.isNaN(now)) this.#tell('the version is no number')
    const {
      [VERSION]: version = '0',
      [RESTORED]: restored = '0',
      ...entries
    } = Object.fromEntries(fieldsOf(await this.#control.call(key, 'hgetall', key)))
    for (const text of Object.values(entries))
      if (!isObject(text)) this.#tell('an entry cannot be read')
    const numbers = { version: Number(version) || 0, restored: Number(restored) || 0 }
    return { ...numbers, entries: new Map(Object.entries(entries)) }
  }

  #tell(why: string): void {
    this.#onBadValue({ kind: 'revocations', key: this.#key, why })
  }

  async change(
    { id, from, text, notBeforeMs = 0 }: RevocationChange,
    known: number,
    entriesMax: number,
  ): Promise<RevocationAnswer> {
    const expected = from === undefined ? [0, ''] : [1, from]
    const wanted = text === undefined ? [0, ''] : [1, text]
    const [word, previous, version] = (
      (await evaluate(
        this.#control,
        CHANGE,
        [this.#key],
        [known, entriesMax, id, ...expected, ...wanted, notBeforeMs],
      )) as readonly Buffer[]
    ).map(String)
    if (word !== 'done') return word as 'full' | 'unchanged' | 'behind'
    const step = { previous: Number(previous), version: Number(version), id }
    return text === undefined ? step : { ...step, text }
  }

  async restore(entries: ReadonlyMap<string, string>, known: number): Promise<void> {
    const all = [...entries]
    do {
      const batch = all.splice(0, RESTORE_ENTRIES).flat()
      await evaluate(this.#control, RESTORE, [this.#key], [known, ...batch])
    } while (all.length > 0)
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}
