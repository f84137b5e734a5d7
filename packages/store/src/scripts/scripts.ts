/**
 * Lua that Redis runs atomically. What writes for a session begins with the same guard: a session that has
 * ended gets nothing more, so a late writer cannot leave a key behind; one that has another owner takes
 * nothing from this one. Keys of one script lie in one slot.
 */
import { createHash } from 'node:crypto'
import type { Servers, RedisArgument } from '@breakwater/redis'

export interface Script {
  readonly source: string
  readonly sha: string
}

export type Argument = RedisArgument

/** Answer of a script that was asked by a former owner. */
export const FENCED = -2

export function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/** `KEYS[1]` is the session, `ARGV[1]` the epoch. */
const GUARD: string = `local owner = redis.call('HGET', KEYS[1], 'epoch')
if not owner then return 0 end
if owner ~= ARGV[1] then return ${FENCED} end
`

/** Lua takes so many values of a table at once. */
const UNPACKED_MAX = 1_000

/** Keys: session, filters. Arguments: epoch, then filter and QoS in turn. Costs what is added, whatever is there. */
export const ADD_FILTERS: Script = script(
  `${GUARD}for first = 2, #ARGV, ${UNPACKED_MAX} do
  redis.call('HSET', KEYS[2], unpack(ARGV, first, math.min(first + ${UNPACKED_MAX - 1}, #ARGV)))
end
return 1`,
)

/** Keys: filters of sessions in one bucket. Returns filter and QoS in turn, for each. */
export const READ_FILTERS: Script = script(
  `local found = {}
for index, key in ipairs(KEYS) do found[index] = redis.call('HGETALL', key) end
return found`,
)

/** Keys: session, filters. Arguments: epoch, then filters. */
export const REMOVE_FILTERS: Script = script(
  `${GUARD}for first = 2, #ARGV, ${UNPACKED_MAX} do
  redis.call('HDEL', KEYS[2], unpack(ARGV, first, math.min(first + ${UNPACKED_MAX - 1}, #ARGV)))
end
return 1`,
)

/**
 * Keys: session, queue. Arguments: epoch, from position, messages max, bytes max. Returns whether the reader
 * is the owner, then position and message in turn. Reads in small steps, so that large messages cost no more
 * memory than what is returned; marks what it returns to the owner as sent, unless memory has run out: a
 * queue must still be emptied then.
 */
export const READ: Script = script(
  `local session = redis.call('HMGET', KEYS[1], 'epoch', 'sent')
local owned = session[1] == ARGV[1]
local found, bytes, from, more, sent = {(owned or not session[1]) and 1 or 0}, 0, '0-' .. ARGV[2], true, 0
local most = tonumber(ARGV[3])
while more and #found < 2 * most do
  local step = math.min(8, most - (#found - 1) / 2)
  local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', step)
  more = #entries == step
  for _, entry in ipairs(entries) do
    bytes = bytes + #entry[2][2]
    if bytes > tonumber(ARGV[4]) and #found > 1 then more = false break end
    sent = string.sub(entry[1], 3)
    found[#found + 1] = sent
    found[#found + 1] = entry[2][2]
    from = '(' .. entry[1]
  end
end
if owned and tonumber(session[2]) < tonumber(sent) then
  redis.pcall('HSET', KEYS[1], 'sent', sent)
end
return found`,
)

/** Keys: retained. Arguments: cursor, count. Returns the next cursor and topics, without their messages. */
export const SCAN_TOPICS: Script = script(
  `local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local topics = {}
for index = 1, #found[2], 2 do topics[#topics + 1] = found[2][index] end
return {found[1], topics}`,
)

/** Keys: retained. Arguments: topics. Returns for each whether it has a message. */
export const TOPICS_EXIST: Script = script(
  `local found = {}
for index = 1, #ARGV do found[index] = redis.call('HEXISTS', KEYS[1], ARGV[index]) end
return found`,
)

/**
 * Keys: retained. Arguments: bytes max, topics. Returns how many of them were looked at, one at least, then
 * the messages of those that have one.
 */
export const READ_RETAINED: Script = script(
  `local found, bytes = {0}, 0
for index = 2, #ARGV do
  local message = redis.call('HGET', KEYS[1], ARGV[index])
  if message then
    bytes = bytes + #message
    if bytes > tonumber(ARGV[1]) and #found > 1 then break end
    found[#found + 1] = message
  end
  found[1] = index - 1
end
return found`,
)

/** Runs a script now, whether the server knows it or not. Strings of the answer are buffers. */
export async function evaluate(
  servers: Servers,
  { source, sha }: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  const [first = ''] = keys
  try {
    return await servers.call(first, 'evalsha', sha, keys.length, ...keys, ...args)
  } catch (error) {
    if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
    return await servers.call(first, 'eval', source, keys.length, ...keys, ...args)
  }
}
