/** The scripts of the two writers: what a turn's publishes change, and what one session has taken. */
import type { Redis } from '@breakwater/redis'
import { FENCED, script, type Script } from './scripts.ts'

/**
 * Writes of one turn, each once however often it is sent.
 *
 * Keys: writer, then those of the operations in turn. Arguments: number that must have been executed before,
 * last number, lifetime of the writer's mark (ms), messages max, bytes max, whether the oldest make room (1)
 * or the newest is dropped (0), number of messages, the messages, then words:
 *
 *   I number                   the next write begins; one that was executed before is skipped (-1)
 *   A message n                to the end of n queues (session, queue; n times)
 *   R topic QoS                what is retained now goes to the end of a queue (session, queue, retained)
 *   S topic message, C topic   retained set, cleared (retained)
 *   P epoch id message, D id   QoS 2 publish kept (session, inbound), deleted (inbound)
 *
 * Returns per write dropped, the positions (0: no session) and, of few queues, the epochs of their sessions; or
 * the text of an error. What is counted of a session is read once and written once per call. The mark is set
 * first: a server that refuses writes refuses all of them there, and nothing has happened.
 */
export const BATCH: Script = script(
  `local mark = tonumber(redis.call('GET', KEYS[1]) or '0')
if mark < tonumber(ARGV[1]) then
  return redis.error_reply('OUTOFTURN the call before was refused')
end
if mark < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
local call = redis.call
local countMax, bytesMax, oldest = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local answer, epochs
local known, changed = {}, {}

local function push(session, queue, message)
  local at = known[session]
  if not at then
    local found = call('HMGET', session, 'last', 'bytes', 'count', 'epoch')
    at = found[1] and {found[1], found[2], found[3], tonumber(found[4])} or {}
    known[session] = at
  end
  if not at[1] then
    answer[#answer + 1] = 0
    epochs[#epochs + 1] = 0
    return
  end
  epochs[#epochs + 1] = at[4]
  local last, bytes, count = at[1] + 1, at[2] + #message, at[3] + 1
  if not oldest and (count > countMax or (bytes > bytesMax and count > 1)) then
    answer[1] = answer[1] + 1
    answer[#answer + 1] = 0
    return
  end
  call('XADD', queue, '0-' .. last, 'm', message)
  at[1], at[2], at[3] = last, bytes, count
  changed[session] = at
  while count > countMax or (bytes > bytesMax and count > 1) do
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

local function close()
  if answer and #epochs <= 8 and #answer == #epochs + 1 then
    for index = 1, #epochs do answer[#answer + 1] = epochs[index] end
  end
end

local run = {
  A = function(key, word)
    local message, n = ARGV[7 + ARGV[word]], tonumber(ARGV[word + 1])
    for index = key, key + 2 * n - 1, 2 do push(KEYS[index], KEYS[index + 1], message) end
  end,
  R = function(key, word)
    local retained = call('HGET', KEYS[key + 2], ARGV[word])
    if not retained then
      answer[#answer + 1] = 0
      epochs[#epochs + 1] = 0
      return
    end
    -- The second byte of a message holds QoS and retain, see the envelope.
    local qos = math.max(1, math.min(string.byte(retained, 2) % 4, tonumber(ARGV[word + 1])))
    push(KEYS[key], KEYS[key + 1],
      string.sub(retained, 1, 1) .. string.char(qos + 4) .. string.sub(retained, 3))
  end,
  S = function(key, word) call('HSET', KEYS[key], ARGV[word], ARGV[7 + ARGV[word + 1]]) end,
  C = function(key, word) call('HDEL', KEYS[key], ARGV[word]) end,
  P = function(key, word)
    local owner = call('HGET', KEYS[key], 'epoch')
    if owner == ARGV[word] then
      call('HSET', KEYS[key + 1], ARGV[word + 1], ARGV[7 + ARGV[word + 2]])
      answer[#answer + 1] = 1
    else
      answer[#answer + 1] = owner and ${FENCED} or 0
    end
  end,
  D = function(key, word) call('HDEL', KEYS[key], ARGV[word]) end,
}
local words = {A = 2, R = 2, S = 2, C = 1, P = 3, D = 1}
local keys = {A = 0, R = 3, S = 1, C = 1, P = 2, D = 1}

local answers, key, word, skip = {}, 2, 8 + tonumber(ARGV[7]), false
while word <= #ARGV do
  local op = ARGV[word]
  if op == 'I' then
    close()
    answer, epochs = {0}, {}
    answers[#answers + 1] = answer
    skip = tonumber(ARGV[word + 1]) <= mark
    word = word + 2
  else
    local n = op == 'A' and tonumber(ARGV[word + 2]) or 1
    if skip then
      if op == 'A' or op == 'R' then
        for _ = 1, n do answer[#answer + 1] = -1 end
      end
    else
      local ok, failure = pcall(run[op], key, word + 1)
      if not ok then
        answers[#answers] = type(failure) == 'table' and failure.err or tostring(failure)
      end
    end
    key = key + (op == 'A' and 2 * n or keys[op])
    word = word + 1 + words[op]
  end
end
close()
for session, at in pairs(changed) do
  call('HSET', session, 'last', at[1], 'bytes', at[2], 'count', at[3])
end
return answers`,
)

/**
 * What one session's owner has sent and its client has taken. Keys: session, queue, release. Arguments: epoch,
 * sent (position), number of settled, position and bytes of each, number of released, packet ids, completed
 * packet ids. A packet id is kept with a number, since PUBREL goes out in the order in which PUBREC came in.
 * What takes away comes first: it must get through when memory has run out; a DUP flag is not worth an error.
 */
export const RECEIPT: Script = script(
  `local found = redis.call('HMGET', KEYS[1], 'epoch', 'bytes', 'count', 'sent', 'releases')
if not found[1] then return 0 end
if found[1] ~= ARGV[1] then return ${FENCED} end
local bytes, count, settled = tonumber(found[2]), tonumber(found[3]), tonumber(ARGV[3])
local word, gone = 4, 0
local ids, held, before, rising = {}, 0, 0, true
local function settle(index)
  if redis.call('XDEL', KEYS[2], '0-' .. ARGV[index]) == 0 then return false end
  bytes = bytes - ARGV[index + 1]
  gone = gone + 1
  return true
end
for index = word, word + 2 * settled - 2, 2 do
  local position = tonumber(ARGV[index])
  rising = rising and position > before
  before = position
  if index > word then
    ids[#ids + 1] = '0-' .. ARGV[index]
    held = held + ARGV[index + 1]
  end
end
-- What makes room takes the oldest: if the first of them is still there, so are the others.
if settled > 0 and settle(word) and rising and #ids > 0 then
  local more = redis.call('XDEL', KEYS[2], unpack(ids))
  gone = gone + more
  bytes = bytes - held
  if more < #ids then
    bytes = 0
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do bytes = bytes + #entry[2][2] end
  end
else
  for index = word + 2, word + 2 * settled - 2, 2 do settle(index) end
end
word = word + 2 * settled
local last = word + tonumber(ARGV[word])
if last + 1 <= #ARGV then redis.call('HDEL', KEYS[3], unpack(ARGV, last + 1)) end
count = count - gone
if count == 0 then bytes = 0 end
local changes = {}
if gone > 0 then changes = {'bytes', bytes, 'count', count} end
if tonumber(found[4]) < tonumber(ARGV[2]) then
  changes[#changes + 1] = 'sent'
  changes[#changes + 1] = ARGV[2]
end
local releases = tonumber(found[5] or '0')
for index = word + 1, last do
  if redis.call('HSETNX', KEYS[3], ARGV[index], releases + 1) == 1 then releases = releases + 1 end
end
if last > word then
  changes[#changes + 1] = 'releases'
  changes[#changes + 1] = releases
end
if #changes > 0 then redis.pcall('HSET', KEYS[1], unpack(changes)) end
return 1`,
)

/** Those that the writers use by their digest. */
export async function loadWrites(redis: Redis): Promise<void> {
  await Promise.all([BATCH, RECEIPT].map(({ source }) => redis.script('LOAD', source)))
}
