/**
 * Lua on one inbox. Keys of each: the stream, and the hash of its bytes. `in` and `out` of the hash only
 * grow, so that the reader, who alone sets `out`, may say the same twice; `refused` counts what a full inbox
 * did not take, and the reader hears of it when it trims, as it must for the inbox to become less full.
 */
import { createHash } from 'node:crypto'
import type { Redis } from '@breakwater/redis'

export interface Script {
  readonly source: string
  readonly sha: string
}

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/** Arguments: generation, ms to live. Returns the id to read from. */
export const INBOX_CREATE: Script = script(
  `redis.call('DEL', KEYS[1], KEYS[2])
local id = redis.call('XADD', KEYS[1], '*', 'h', ARGV[1])
redis.call('HSET', KEYS[2], 'generation', ARGV[1], 'in', 0, 'out', 0, 'refused', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return id`,
)

export const APPENDED = { gone: 0, taken: 1, full: 2 } as const

/**
 * Arguments: bytes max, frame. Returns one of `APPENDED` and the generation of the inbox. Never creates one.
 * An empty inbox takes a frame of any size, as there is no better time for it.
 */
export const INBOX_APPEND: Script = script(
  `if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then return {0, 0} end
local state = redis.pcall('HMGET', KEYS[2], 'in', 'out', 'generation')
if state.err then return {0, 0} end
local held = (tonumber(state[1]) or 0) - (tonumber(state[2]) or 0)
local generation = tonumber(state[3]) or 0
if held > 0 and held + #ARGV[2] > tonumber(ARGV[1]) then
  redis.call('HINCRBY', KEYS[2], 'refused', 1)
  return {2, generation}
end
-- What is no inbox takes nothing: its node finds that out, and makes another one.
local function taken(answer)
  if type(answer) ~= 'table' then return true end
  if not string.match(answer.err, '^WRONGTYPE ') and not string.match(answer.err, '^ERR ') then
    error(answer)
  end
  return false
end
if not taken(redis.pcall('XADD', KEYS[1], '*', 'f', ARGV[2])) then return {0, 0} end
if not taken(redis.pcall('HINCRBY', KEYS[2], 'in', #ARGV[2])) then return {0, 0} end
return {1, generation}`,
)

/**
 * Arguments: generation, first id to keep, bytes read since the inbox was made. Returns how many frames were
 * refused since then; -1 for an inbox that is gone or another.
 */
export const INBOX_TRIM: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('HGET', KEYS[2], 'generation') ~= ARGV[1] then return -1 end
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[2])
redis.call('HSET', KEYS[2], 'out', ARGV[3])
return tonumber(redis.call('HGET', KEYS[2], 'refused'))`,
)

/**
 * Arguments: generation, last id read. Returns the bytes that were appended since the inbox was made, and the
 * µs since the first entry behind that id was; the latter -1 where there is none, nil for an inbox that is
 * gone or another. Both times are the server's.
 */
export const INBOX_LAG: Script = script(
  `local state = redis.call('HMGET', KEYS[2], 'in', 'generation')
if state[2] ~= ARGV[1] then return false end
local first = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', 1)[1]
if not first then return {tonumber(state[1]), -1} end
local now = redis.call('TIME')
local appended = tonumber(string.match(first[1], '^%d+'))
return {tonumber(state[1]), math.max(0, now[1] * 1000000 + now[2] - appended * 1000)}`,
)

/** Those that are run by their digest. */
export async function loadInboxScripts(redis: Redis): Promise<void> {
  await Promise.all(
    [INBOX_APPEND, INBOX_TRIM, INBOX_LAG].map(({ source }) => redis.script('LOAD', source)),
  )
}
