/** Lua over the queue of one shared subscription. Keys of both: hash, queue, members. */
import { script, type Script } from './scripts.ts'

/**
 * Arguments: node, from position, most to look at. Moves to the end, for this node, what names none or one that
 * is no member; nothing if the node is no member itself. Returns where to go on, 0 at the end.
 */
export const SHARED_CLAIM: Script = script(
  `if redis.call('SISMEMBER', KEYS[3], 'n' .. ARGV[1]) == 0 then return 0 end
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
local made, member, seen, from = last, {[''] = 0}, 0, '0-' .. ARGV[2]
while seen < tonumber(ARGV[3]) do
  local entries = redis.call('XRANGE', KEYS[2], from, '0-' .. last, 'COUNT', 50)
  if #entries == 0 then
    from = nil
    break
  end
  for _, entry in ipairs(entries) do
    local node = entry[2][4]
    if not member[node] then member[node] = redis.call('SISMEMBER', KEYS[3], 'n' .. node) end
    if member[node] == 0 then
      made = made + 1
      redis.call('XADD', KEYS[2], '0-' .. made, 'm', entry[2][2], 'n', ARGV[1], 'h', entry[2][6])
      redis.call('XDEL', KEYS[2], entry[1])
    end
    from = '(' .. entry[1]
  end
  seen = seen + #entries
end
if made > last then redis.call('HSET', KEYS[1], 'last', made) end
if not from or string.sub(from, 1, 1) ~= '(' then return 0 end
return string.sub(from, 4) + 1`,
)

/**
 * Arguments: node, from position, messages max, bytes max, most to look at. Returns the next position, whether
 * there may be more, then position, hash and message in turn. Reads in small steps, so that large messages
 * cost no more memory than what is returned.
 */
export const SHARED_READ: Script = script(
  `local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
local found, bytes, seen, from, next = {}, 0, 0, '0-' .. ARGV[2], tonumber(ARGV[2])
local most = 3 * tonumber(ARGV[3])
while #found < most and seen < tonumber(ARGV[5]) do
  local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 8)
  if #entries == 0 then return {math.max(next, last + 1), 0, unpack(found)} end
  for _, entry in ipairs(entries) do
    if entry[2][4] == ARGV[1] then
      bytes = bytes + #entry[2][2]
      if #found >= most or (bytes > tonumber(ARGV[4]) and #found > 0) then
        return {next, 1, unpack(found)}
      end
      found[#found + 1] = string.sub(entry[1], 3)
      found[#found + 1] = entry[2][6]
      found[#found + 1] = entry[2][2]
    end
    next = string.sub(entry[1], 3) + 1
    from = '(' .. entry[1]
  end
  seen = seen + #entries
end
return {next, 1, unpack(found)}`,
)
