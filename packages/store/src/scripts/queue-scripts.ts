/**
 * Lua that appends to the queue of a session, or of a shared subscription. Inside of BATCH, which has `call`, `note`,
 * the bounds and the answer of the write. What is counted of a queue is read once and written once per call.
 */
import { QUEUE_FULL } from '../store.ts'

export const QUEUE_LUA: string = `local known, changed = {}, {}

-- Last, bytes and count of a queue, with the epoch; empty where there is none.
local function counted(session)
  local at = known[session]
  if not at then
    local found = redis.pcall('HMGET', session, 'last', 'bytes', 'count', 'epoch')
    if found.err or (found[1] and not (tonumber(found[1]) and tonumber(found[2]) and tonumber(found[3]))) then
      note(session)
      found = call('HMGET', session, 'last', 'bytes', 'count', 'epoch')
    end
    at = found[1] and {found[1], found[2], found[3], tonumber(found[4]) or 0} or {}
    known[session] = at
  end
  return at
end

local function flush(session)
  local at = changed[session]
  if at then call('HSET', session, 'last', at[1], 'bytes', at[2], 'count', at[3]) end
  known[session], changed[session] = nil, nil
end

-- The fifth of what is known: the bytes that this queue has room for.
local function full(session, count, bytes)
  if count > countMax then return true end
  if count <= 1 or bytes <= roomMin then return false end
  local at = counted(session)
  at[5] = at[5] or math.min(bytesMax, tonumber(call('HGET', session, 'room') or bytesMax) or bytesMax)
  return bytes > at[5]
end

local function add(queue, last, message, node, hash)
  if node then return redis.pcall('XADD', queue, '0-' .. last, 'm', message, 'n', node, 'h', hash) end
  return redis.pcall('XADD', queue, '0-' .. last, 'm', message)
end

local function push(session, queue, message, node, hash)
  local at = counted(session)
  if not node then epochs[#epochs + 1] = at[4] or 0 end
  if not at[1] then
    answer[#answer + 1] = 0
    return
  end
  local last, bytes, count = at[1] + 1, at[2] + #message, at[3] + 1
  if policy ~= 'O' and full(session, count, bytes) then
    answer[1] = answer[1] + 1
    answer[#answer + 1] = ${QUEUE_FULL}
    return
  end
  if type(add(queue, last, message, node, hash)) == 'table' then
    -- Something else lies there, or ids that nothing can come behind: nobody else is held up for it.
    flush(session)
    note(session)
    note(queue)
    at = counted(session)
    last, bytes, count = (at[1] or 0) + 1, (at[2] or 0) + #message, (at[3] or 0) + 1
    if not at[1] or type(add(queue, last, message, node, hash)) == 'table' then
      answer[#answer + 1] = 0
      return
    end
  end
  at[1], at[2], at[3] = last, bytes, count
  changed[session] = at
  while full(session, count, bytes) do
    local first = call('XRANGE', queue, '-', '+', 'COUNT', 1)[1]
    if not first then break end
    call('XDEL', queue, first[1])
    bytes = bytes - #first[2][2]
    count = count - 1
    answer[1] = answer[1] + 1
  end
  at[2], at[3] = bytes, count
  answer[#answer + 1] = last
end
`
