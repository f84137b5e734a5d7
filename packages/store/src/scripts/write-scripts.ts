/** The scripts of the two writers: what a turn's publishes change, and what one session has taken. */
import { MEND_LUA, type Redis } from '@breakwater/redis'
import { QUEUE_LUA } from './queue-scripts.ts'
import { RETAINED_LUA } from './retained-scripts.ts'
import { FENCED, script, type Script } from './scripts.ts'

/** How the policies are called in BATCH. */
export const POLICY = { 'drop-oldest': 'O', 'drop-newest': 'N', 'close-publisher': 'C' } as const

/** Answer of P where the QoS 2 publishes of its session have reached their bound. */
export const INBOUND_FULL = -4

/** Answer to a write that `close-publisher` refuses. */
export const REFUSED = 'QUEUEFULL'

/** Answer to a write whose retained message finds a bound of them reached. */
export const RETAINED_FULL = 'RETAINEDFULL'

/** More than can have been sent and have no answer yet. */
const WRITES_AHEAD_MAX = 10_000_000

/** Of so many queues of one write the epochs are answered. */
const EPOCHS_MAX = 8

/** So many messages a second for all its life a shared subscription may have, with a name that comes again. */
const POSITIONS_PER_SECOND = 32_768

/**
 * Writes of one turn, each once however often it is sent.
 *
 * Keys: writer, then those of the operations in turn. Arguments: number that must have been executed before,
 * last number, lifetime of the writer's mark (ms), messages max, bytes max, policy (`POLICY`) and, behind it, the bytes
 * that every queue has room for, the lowest number
 * whose answer may be lost, number of messages, the messages, then words:
 *
 *   I number                   the next write begins; one that was executed before is skipped (-1)
 *   F number                   its message began with that write
 *   A message n                to the end of n queues (session, queue; n times)
 *   R topic QoS                what is retained now goes to the end of a queue (session, queue, retained)
 *   Q message                  what was retained goes to the end of a queue (session, queue)
 *   K message n                nothing, but refused where A of the same would be (session, queue; n times)
 *   S topic message account bounds   retained set, for an account (retained, whose they are, usage)
 *   M topic message account bounds   nothing, but refused where S of the same would be (the same)
 *   C topic                    retained cleared (the same)
 *   G message node hash        to the end of the queue of a shared subscription (hash, queue, members); the node
 *                              is left out if it is no member
 *   J member room, L member    joins, leaves a shared subscription (hash, queue, members); the first one makes it,
 *                              with so many bytes for its queue or '', the last one ends it
 *   H positions                these are for any node (hash, queue)
 *   P epoch id message bytes   QoS 2 publish kept, unless all would be more bytes, or more than there is room for
 *                              (session, inbound)
 *   D id                       QoS 2 publish deleted (session, inbound)
 *   T id                       the same; where there is none, the rest of the write is left out (session, inbound)
 *   E id                       where there is none, the write is left out (inbound)
 *
 * Returns per write dropped (-1: left out), then what its operations say, or the text of an error: A, R, Q and G the positions
 * (0: no session), S and C whether the topic is new or gone (1), P whether it was kept; -1 where it is not known,
 * because it was executed before. Behind that the epochs of the sessions of A, R and Q, where they are few. The
 * mark is set first: a server that refuses writes refuses all of them there, and nothing has happened. Where it
 * is there already its lifetime is set: a connection that sends again writes something in any case, and what is
 * asked behind that (replicas, disk) covers what an earlier one has written.
 *
 * What lies in one of the keys and is none of what may be there is removed, or counted again (mend.ts), and holds up
 * no other write; behind the answers then come names of such keys, each with what was wrong.
 *
 * What is counted of a queue is read once and written once per call (`counted`, `flush`); what reads or writes
 * the counts by another way flushes them before.
 *
 * A write that retains, and with `close-publisher` each, is looked through before any of it happens; S comes before
 * what appends. One that is refused is remembered
 * behind the mark until its answer has arrived, so that it is not taken for one that was executed; and those
 * behind it of the same message are refused with it.
 */
export const BATCH: Script = script(
  `${MEND_LUA}
-- Keys that held what cannot be read, each with what was wrong.
local bad, mend = {}, nil
local function note(key)
  mend = mend or mender()
  local why = mend(key)
  if why then
    bad[#bad + 1] = key
    bad[#bad + 1] = why
  end
  return why ~= nil
end
local state = redis.pcall('GET', KEYS[1]) or '0'
local mark = type(state) == 'string' and tonumber(string.match(state, '^%d+'))
if not mark or mark > tonumber(ARGV[2]) + ${WRITES_AHEAD_MAX} then
  -- What was executed is not known any more: this call is not.
  bad = {KEYS[1], 'it is no mark of writes'}
  state, mark = ARGV[1], tonumber(ARGV[1])
end
if mark < tonumber(ARGV[1]) then
  return redis.error_reply('OUTOFTURN the call before was refused')
end
local refused, lastRefused, kept, grown = {}, 0, '', false
for number, why in string.gmatch(state, ';(%d+)(R?)') do
  if tonumber(number) >= tonumber(ARGV[7]) then
    refused[tonumber(number)] = why
    lastRefused = tonumber(number)
    kept = kept .. ';' .. number .. why
  end
end
if mark < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[2] .. kept, 'PX', ARGV[3])
else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
local call = redis.call
local countMax, bytesMax = tonumber(ARGV[4]), tonumber(ARGV[5])
local policy, roomMin = string.sub(ARGV[6], 1, 1), math.min(bytesMax, tonumber(string.sub(ARGV[6], 2)))
local answer, epochs, skip
${QUEUE_LUA}
local function close()
  if not answer or #epochs > ${EPOCHS_MAX} then return end
  for index = 1, #epochs do answer[#answer + 1] = epochs[index] end
end

${RETAINED_LUA}
-- A session has the bytes of its QoS 2 publishes in the field inbound. Returns whether there was one to be forgotten.
local function forget(session, inbound, id)
  local bytes = call('HSTRLEN', inbound, id)
  if call('HDEL', inbound, id) == 0 then return false end
  if call('EXISTS', inbound) == 0 then call('HDEL', session, 'inbound')
  elseif bytes > 0 then call('HINCRBY', session, 'inbound', -bytes) end
  return true
end

local run = {
  A = function(key, word)
    local message, n = ARGV[8 + ARGV[word]], tonumber(ARGV[word + 1])
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
  Q = function(key, word) push(KEYS[key], KEYS[key + 1], ARGV[8 + ARGV[word]]) end,
  K = function() end,
  G = function(key, word)
    local node = ARGV[word + 1]
    if call('SISMEMBER', KEYS[key + 2], 'n' .. node) == 0 then node = '' end
    push(KEYS[key], KEYS[key + 1], ARGV[8 + ARGV[word]], node, ARGV[word + 2])
  end,
  J = function(key, word)
    flush(KEYS[key])
    if call('EXISTS', KEYS[key]) == 0 then
      -- Above all positions of an earlier queue of this name, which somebody may still speak of; Lua writes
      -- whole numbers up to 14 digits.
      local now = call('TIME')
      local last = math.floor((now[1] + now[2] / 1000000) * ${POSITIONS_PER_SECOND})
      call('HSET', KEYS[key], 'epoch', 0, 'sent', 0, 'last', last, 'bytes', 0, 'count', 0)
      if ARGV[word + 1] ~= '' then call('HSET', KEYS[key], 'room', ARGV[word + 1]) end
    end
    call('SADD', KEYS[key + 2], ARGV[word])
  end,
  L = function(key, word)
    flush(KEYS[key])
    call('SREM', KEYS[key + 2], ARGV[word])
    if call('EXISTS', KEYS[key + 2]) == 0 then call('DEL', KEYS[key], KEYS[key + 1]) end
  end,
  H = function(key, word)
    flush(KEYS[key])
    local last = tonumber(call('HGET', KEYS[key], 'last'))
    if not last then return end
    for position in string.gmatch(ARGV[word], '%d+') do
      local entry = call('XRANGE', KEYS[key + 1], '0-' .. position, '0-' .. position)[1]
      if entry then
        call('XDEL', KEYS[key + 1], entry[1])
        last = last + 1
        call('XADD', KEYS[key + 1], '0-' .. last, 'm', entry[2][2], 'n', '', 'h', entry[2][6])
      end
    end
    call('HSET', KEYS[key], 'last', last)
  end,
  S = function(key, word)
    answer[#answer + 1] = retain(key, ARGV[word], ARGV[8 + ARGV[word + 1]], ARGV[word + 2])
  end,
  M = function() end,
  C = function(key, word) answer[#answer + 1] = clear(key, ARGV[word]) end,
  P = function(key, word)
    local found = call('HMGET', KEYS[key], 'epoch', 'inbound', 'room')
    if found[1] ~= ARGV[word] then
      answer[#answer + 1] = found[1] and ${FENCED} or 0
      return
    end
    local id, message = ARGV[word + 1], ARGV[8 + ARGV[word + 2]]
    local bytes = (found[2] or 0) + #message - call('HSTRLEN', KEYS[key + 1], id)
    local most = math.min(tonumber(ARGV[word + 3]), tonumber(found[3] or ARGV[word + 3]))
    if bytes > #message and bytes > most then
      answer[#answer + 1] = ${INBOUND_FULL}
      return
    end
    call('HSET', KEYS[key + 1], id, message)
    call('HSET', KEYS[key], 'inbound', bytes)
    answer[#answer + 1] = 1
  end,
  D = function(key, word) forget(KEYS[key], KEYS[key + 1], ARGV[word]) end,
  E = function(key, word)
    if call('HEXISTS', KEYS[key], ARGV[word]) == 0 then
      answer[1] = -1
      skip = true
    end
  end,
  T = function(key, word)
    if not forget(KEYS[key], KEYS[key + 1], ARGV[word]) then
      answer[1] = -1
      skip = true
    end
  end,
}
local words = {F = 1, A = 2, R = 2, Q = 1, K = 2, G = 3, J = 2, L = 1, H = 1, S = 4, M = 4, C = 1, P = 4, D = 1, T = 1, E = 1}
local keys = {F = 0, R = 3, Q = 2, G = 3, J = 3, L = 3, H = 2, S = 3, M = 3, C = 3, P = 2, D = 2, T = 2, E = 1}

-- Operations that say something.
local answered = {A = true, R = true, Q = true, G = true, S = true, C = true, P = true}

-- How many queues.
local function count(op, word)
  return (op == 'A' or op == 'K') and tonumber(ARGV[word + 2]) or 1
end

local function after(key, word)
  local op = ARGV[word]
  return key + (keys[op] or 2 * count(op, word)), word + 1 + words[op]
end

-- Why the write is refused, if it is: 'R' or nothing.
local function refuses(key, word)
  while word <= #ARGV and ARGV[word] ~= 'I' do
    local op = ARGV[word]
    if op == 'F' and lastRefused >= tonumber(ARGV[word + 1]) then return refused[lastRefused] end
    if op == 'S' or op == 'M' then
      local message = ARGV[8 + ARGV[word + 2]]
      if overfull(key, ARGV[word + 1], message, ARGV[word + 3], ARGV[word + 4]) then return 'R' end
    elseif answered[op] and policy ~= 'C' then
      return
    elseif op == 'A' or op == 'K' or op == 'G' then
      local bytes = #ARGV[8 + ARGV[word + 1]]
      for index = key, key + 2 * count(op, word) - 1, 2 do
        local at = counted(KEYS[index])
        if at[3] and full(KEYS[index], at[3] + 1, at[2] + bytes) then return '' end
      end
    end
    key, word = after(key, word)
  end
end

local answers, key, word = {}, 2, 9 + tonumber(ARGV[8])
while word <= #ARGV do
  local op = ARGV[word]
  if op == 'I' then
    close()
    local number = tonumber(ARGV[word + 1])
    answer, epochs = {0}, {}
    answers[#answers + 1] = answer
    skip = number <= mark
    word = word + 2
    if not skip then
      local ok, why = pcall(refuses, key, word)
      if ok and why then
        refused[number], lastRefused, kept, grown = why, number, kept .. ';' .. number .. why, true
      end
    end
    if refused[number] then
      answers[#answers] = refused[number] == 'R' and '${RETAINED_FULL}' or '${REFUSED}'
      skip = true
    end
  else
    if skip then
      if answered[op] then
        for _ = 1, count(op, word) do answer[#answer + 1] = -1 end
      end
    elseif op ~= 'F' then
      local ok, failure = pcall(run[op], key, word + 1)
      if not ok then
        local mended = false
        for index = key, after(key, word) - 1 do mended = note(KEYS[index]) or mended end
        if mended then
          looked = nil
          ok, failure = pcall(run[op], key, word + 1)
          -- Half of it was done before: whether the topic came or went is for everybody to look at.
          if ok and (op == 'S' or op == 'C') then answer[#answer] = 1 end
        end
      end
      if not ok then
        answers[#answers] = type(failure) == 'table' and failure.err or tostring(failure)
      end
    end
    key, word = after(key, word)
  end
end
close()
for session in pairs(changed) do flush(session) end
if grown then call('SET', KEYS[1], math.max(mark, ARGV[2]) .. kept, 'PX', ARGV[3]) end
if #bad > 0 then answers[#answers + 1] = bad end
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
-- A shared queue, whose epoch is 0, is taken from by many, in any order.
local ids, held, before, rising = {}, 0, 0, ARGV[1] ~= '0'
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
-- What makes room takes the oldest, and a policy that refuses the newest takes nothing that is queued: if the
-- first of them is still there, so are the others.
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
