/**
 * Lua that keeps retained messages, and count of them, in one bucket of topics: how many bytes all are, how many
 * messages and bytes each account has, and whose message each topic has. The first three keys of each operation:
 * retained, whose they are, usage.
 */

/**
 * Inside of BATCH, which has `call`. `overfull` says whether S would be too much, `retain` and `clear` do S and C.
 * An account is `@` and its name, or nothing; bounds are messages and bytes of the bucket, then of an account in it.
 */
export const RETAINED_LUA = `-- How many bytes the topic has now, and whose they are.
local function retainedNow(key, topic)
  local bytes = call('HSTRLEN', KEYS[key], topic)
  return bytes, bytes > 0 and call('HGET', KEYS[key + 1], topic) or ''
end

local function usageOf(key, account)
  local count, bytes = string.match(call('HGET', KEYS[key + 2], account) or '0 0', '^(%d+) (%d+)$')
  return tonumber(count), tonumber(bytes)
end

local function account(key, name, messages, bytes)
  if name == '' then return end
  local count, sum = usageOf(key, name)
  count, sum = count + messages, math.max(0, sum + bytes)
  if count > 0 then call('HSET', KEYS[key + 2], name, count .. ' ' .. sum)
  else call('HDEL', KEYS[key + 2], name) end
end

-- What the look before S has found, for it.
local looked

local function overfull(key, topic, message, name, bounds)
  local before, owner = retainedNow(key, topic)
  looked = {key, before, owner}
  local countMax, bytesMax, ownCountMax, ownBytesMax =
    string.match(bounds, '^(%d+) (%d+) (%d+) (%d+)$')
  local grown = #message - before
  if before == 0 and call('HLEN', KEYS[key]) >= tonumber(countMax) then return true end
  if grown > 0 and (call('HGET', KEYS[key + 2], 'bytes') or 0) + grown > tonumber(bytesMax) then
    return true
  end
  if name == '' or (owner == name and grown <= 0) then return false end
  local count, bytes = usageOf(key, name)
  if owner == name then return bytes + grown > tonumber(ownBytesMax) end
  return count >= tonumber(ownCountMax) or bytes + #message > tonumber(ownBytesMax)
end

local function retain(key, topic, message, name)
  local before, owner
  if looked and looked[1] == key then before, owner = looked[2], looked[3]
  else before, owner = retainedNow(key, topic) end
  local isNew = call('HSET', KEYS[key], topic, message)
  if #message ~= before then call('HINCRBY', KEYS[key + 2], 'bytes', #message - before) end
  if owner ~= name then
    account(key, owner, -1, -before)
    account(key, name, 1, #message)
    if name ~= '' then call('HSET', KEYS[key + 1], topic, name)
    else call('HDEL', KEYS[key + 1], topic) end
  elseif #message ~= before then
    account(key, name, 0, #message - before)
  end
  return isNew
end

local function clear(key, topic)
  local before, owner = retainedNow(key, topic)
  if call('HDEL', KEYS[key], topic) == 0 then return 0 end
  account(key, owner, -1, -before)
  if call('EXISTS', KEYS[key]) == 0 then call('DEL', KEYS[key + 1], KEYS[key + 2])
  else
    call('HDEL', KEYS[key + 1], topic)
    call('HINCRBY', KEYS[key + 2], 'bytes', -before)
  end
  return 1
end
`
