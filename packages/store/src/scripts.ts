/**
 * Lua that Redis runs atomically. Each begins with the same guard: a session that has ended gets nothing
 * more, so a late writer cannot leave a key behind. All keys of a script share the session's hash tag.
 */
import { createHash } from 'node:crypto'

export interface Script {
  readonly source: string
  readonly sha: string
  readonly keys: number
}

function script(keys: number, source: string): Script {
  return { source, keys, sha: createHash('sha1').update(source).digest('hex') }
}

/** Keys: session, queue. Arguments: message, messages max, bytes max. Returns position (0: no session), dropped. */
export const APPEND: Script = script(
  2,
  `if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local position = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('XADD', KEYS[2], '0-' .. position, 'm', ARGV[1])
local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[1])
local length = redis.call('XLEN', KEYS[2])
local dropped = 0
while length > tonumber(ARGV[2]) or (bytes > tonumber(ARGV[3]) and length > 1) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', KEYS[2], oldest[1])
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', -#oldest[2][2])
  length = length - 1
  dropped = dropped + 1
end
return {position, dropped}`,
)

/** Keys: session, queue. Arguments: positions. The messages leave the queue. */
export const SETTLE: Script = script(
  2,
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, position in ipairs(ARGV) do
  local id = '0-' .. position
  local found = redis.call('XRANGE', KEYS[2], id, id)[1]
  if found then
    redis.call('XDEL', KEYS[2], id)
    redis.call('HINCRBY', KEYS[1], 'bytes', -#found[2][2])
  end
end
return 1`,
)

/** Keys: session, queue, release. Arguments: position, packet id. */
export const RELEASE: Script = script(
  3,
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local id = '0-' .. ARGV[1]
local found = redis.call('XRANGE', KEYS[2], id, id)[1]
if found then
  redis.call('XDEL', KEYS[2], id)
  redis.call('HINCRBY', KEYS[1], 'bytes', -#found[2][2])
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1])
return 1`,
)

/** Keys: session. Arguments: position. Remembers the highest position that may have been sent. */
export const SENT: Script = script(
  1,
  `local sent = redis.call('HGET', KEYS[1], 'sent')
if sent and tonumber(sent) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'sent', ARGV[1]) end
return 1`,
)

/** Keys: session, inbound. Arguments: packet id, message. */
export const STORE_INBOUND: Script = script(
  2,
  `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1`,
)

/** Keys: session. Arguments: epoch. Makes the session if there is none; returns present, sent. */
export const OPEN: Script = script(
  1,
  `local present = redis.call('EXISTS', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
if present == 0 then redis.call('HSET', KEYS[1], 'last', 0, 'bytes', 0, 'sent', 0) end
return {present, tonumber(redis.call('HGET', KEYS[1], 'sent'))}`,
)

export const SCRIPTS: readonly Script[] = [APPEND, SETTLE, RELEASE, SENT, STORE_INBOUND, OPEN]
