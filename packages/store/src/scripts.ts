/**
 * Lua that Redis runs atomically. What writes for a session begins with the same guard: a session that has
 * ended gets nothing more, so a late writer cannot leave a key behind.
 */
import { createHash } from 'node:crypto'
import type { Redis } from '@breakwater/redis'

export interface Script {
  readonly source: string
  readonly sha: string
}

export type Argument = string | number | Buffer

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/** Keys: epoch. At least the server's time in µs: a Redis that comes back empty does not start below. */
export const NEXT_EPOCH: Script = script(
  `local now = redis.call('TIME')
local floor = now[1] * 1000000 + now[2]
local epoch = tonumber(redis.call('GET', KEYS[1]) or '0') + 1
if epoch < floor then epoch = floor end
redis.call('SET', KEYS[1], string.format('%.0f', epoch))
return epoch`,
)

/**
 * Keys: session, release, inbound, sessions. Arguments: client id, epoch, now (ms). Makes the session if there
 * is none. Returns present, sent, packet ids and numbers of `release`, packet ids of `inbound`.
 */
export const OPEN: Script = script(
  `local present = redis.call('EXISTS', KEYS[1])
if present == 0 then redis.call('HSET', KEYS[1], 'last', 0, 'bytes', 0, 'sent', 0) end
local owner = redis.call('HGET', KEYS[1], 'epoch')
if not owner or tonumber(owner) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
end
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
return {present, redis.call('HGET', KEYS[1], 'sent'), redis.call('HGETALL', KEYS[2]),
  redis.call('HKEYS', KEYS[3])}`,
)

/**
 * Keys: session, queue, release, inbound, filters, clients, sessions. Arguments: client id, epoch or '', seen
 * before (ms) or ''. Leaves nothing behind, unless the session has a later owner or was seen since. Returns
 * whether the session is gone.
 */
export const END: Script = script(
  `local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and ARGV[2] ~= '' and tonumber(epoch) > tonumber(ARGV[2]) then return 0 end
local seen = redis.call('ZSCORE', KEYS[7], ARGV[1])
if seen and ARGV[3] ~= '' and tonumber(seen) >= tonumber(ARGV[3]) then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('SREM', KEYS[6], ARGV[1])
redis.call('ZREM', KEYS[7], ARGV[1])
return 1`,
)

/** Keys: session, filters, clients. Arguments: client id, then filter and QoS in turn. */
export const ADD_FILTERS: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for index = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[index], ARGV[index + 1]) end
redis.call('SADD', KEYS[3], ARGV[1])
return 1`,
)

/** Keys: filters, clients. Arguments: client id, then filters. */
export const REMOVE_FILTERS: Script = script(
  `for index = 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[index]) end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
return 1`,
)

/** `message` goes to the end of the queue of KEYS[1], KEYS[2]; the oldest make room for it. */
const PUSH = `local position = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('XADD', KEYS[2], '0-' .. position, 'm', message)
local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', #message)
local length = redis.call('XLEN', KEYS[2])
local dropped = 0
while length > tonumber(ARGV[1]) or (bytes > tonumber(ARGV[2]) and length > 1) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', KEYS[2], oldest[1])
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', -#oldest[2][2])
  length = length - 1
  dropped = dropped + 1
end
return {position, dropped}`

/** Keys: session, queue. Arguments: messages max, bytes max, message. Returns position (0: no session), dropped. */
export const APPEND: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local message = ARGV[3]
${PUSH}`,
)

/**
 * Keys: session, queue, retained. Arguments: messages max, bytes max, topic, QoS. Appends what is retained now,
 * which may be newer than what its reader has seen: an older one would come behind the newer one in the queue.
 * The second byte of a message holds QoS and retain, see the envelope.
 */
export const REPLAY: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local retained = redis.call('HGET', KEYS[3], ARGV[3])
if not retained then return {0, 0} end
local qos = math.max(1, math.min(string.byte(retained, 2) % 4, tonumber(ARGV[4])))
local message = string.sub(retained, 1, 1) .. string.char(qos + 4) .. string.sub(retained, 3)
${PUSH}`,
)

/**
 * Keys: session, queue. Arguments: from position, messages max, bytes max. Returns position and message in
 * turn. Reads in small steps, so that large messages cost no more memory than what is returned; marks what it
 * returns as sent, unless memory has run out: a queue must still be emptied then.
 */
export const READ: Script = script(
  `local found, bytes, from, more, sent = {}, 0, '0-' .. ARGV[1], true, 0
while more and #found < 2 * tonumber(ARGV[2]) do
  local step = math.min(8, tonumber(ARGV[2]) - #found / 2)
  local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', step)
  more = #entries == step
  for _, entry in ipairs(entries) do
    bytes = bytes + #entry[2][2]
    if bytes > tonumber(ARGV[3]) and #found > 0 then more = false break end
    sent = string.sub(entry[1], 3)
    found[#found + 1] = sent
    found[#found + 1] = entry[2][2]
    from = '(' .. entry[1]
  end
end
local before = redis.call('HGET', KEYS[1], 'sent')
if before and tonumber(before) < tonumber(sent) then redis.pcall('HSET', KEYS[1], 'sent', sent) end
return found`,
)

/** Keys: session, queue. Arguments: position. The message leaves the queue. */
export const SETTLE: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local id = '0-' .. ARGV[1]
local found = redis.call('XRANGE', KEYS[2], id, id)[1]
if found then
  redis.call('XDEL', KEYS[2], id)
  redis.call('HINCRBY', KEYS[1], 'bytes', -#found[2][2])
end
return 1`,
)

/**
 * Keys: session, queue, release. Arguments: position, packet id. The packet id is kept with a number, since
 * PUBREL goes out in the order in which PUBREC came in.
 */
export const RELEASE: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local id = '0-' .. ARGV[1]
local found = redis.call('XRANGE', KEYS[2], id, id)[1]
if found then
  redis.call('XDEL', KEYS[2], id)
  redis.call('HINCRBY', KEYS[1], 'bytes', -#found[2][2])
end
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 0 then
  redis.call('HSET', KEYS[3], ARGV[2], redis.call('HINCRBY', KEYS[1], 'releases', 1))
end
return 1`,
)

/** Keys: session. Arguments: position. Remembers the highest one; a DUP flag is not worth an error. */
export const SENT: Script = script(
  `local sent = redis.call('HGET', KEYS[1], 'sent')
if sent and tonumber(sent) < tonumber(ARGV[1]) then redis.pcall('HSET', KEYS[1], 'sent', ARGV[1]) end
return 1`,
)

/** Keys: session, inbound. Arguments: packet id, message. */
export const STORE_INBOUND: Script = script(
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1`,
)

/** Those that the writer uses by their digest. */
const WRITES = [APPEND, REPLAY, SETTLE, RELEASE, SENT, STORE_INBOUND]

export async function loadWrites(redis: Redis): Promise<void> {
  await Promise.all(WRITES.map(({ source }) => redis.script('LOAD', source)))
}

/** Runs a script now, whether the server knows it or not. Strings of the answer are buffers. */
export async function evaluate(
  redis: Redis,
  { source, sha }: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  try {
    return await redis.callBuffer('evalsha', sha, keys.length, ...keys, ...args)
  } catch (error) {
    if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
    return await redis.callBuffer('eval', source, keys.length, ...keys, ...args)
  }
}
