/**
 * Lua of an import. What is imported is marked in the same step, in the same slot: another run leaves it as it is
 * by then. What is there before is left as it is, too. Marks are kept for MARKS_MS after the last one.
 */
import { ANY_USER, EPOCH } from './owner-scripts.ts'
import { script, type Script } from './scripts.ts'

const MARKS_MS = 30 * 86_400_000
/** Of a queue that nobody goes on with. */
const STAGED_MS = 86_400_000

/** What an import script says of one thing. */
export const IMPORT_ANSWERS = ['before', 'imported', 'existing'] as const

/** Keys: session, imported. Arguments: client id. Returns the place in `IMPORT_ANSWERS`; 1: to be imported. */
export const LOOK: Script = script(
  `if redis.call('SISMEMBER', KEYS[2], 's' .. ARGV[1]) == 1 then return 0 end
return redis.call('EXISTS', KEYS[1]) == 1 and 2 or 1`,
)

/**
 * Keys: queue of an import. Arguments: whether it begins (1), the lowest position that stays, then position and
 * message in turn. What an earlier run has left is thrown away.
 */
export const STAGE: Script = script(
  `if ARGV[1] == '1' then redis.call('DEL', KEYS[1]) end
for index = 3, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '0-' .. ARGV[index], 'm', ARGV[index + 1])
end
redis.call('XTRIM', KEYS[1], 'MINID', '0-' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ${STAGED_MS})
return 1`,
)

/**
 * Keys: session, queue, release, inbound, filters, sessions, queue of the import, imported. Arguments: client id,
 * now (ms), user, whether it has one (1), count, bytes, last and sent position, filters (JSON) or '', number of
 * released, their packet ids, then packet ids that were received. Returns the place in `IMPORT_ANSWERS`; -1 where
 * the queue is not whole.
 */
export const FINISH: Script = script(
  `local id, count = ARGV[1], tonumber(ARGV[5])
local mark = 's' .. id
if redis.call('SISMEMBER', KEYS[8], mark) == 1 then return 0 end
local exists = redis.call('EXISTS', KEYS[1]) == 1
if not exists and redis.call('XLEN', KEYS[7]) ~= count then return -1 end
redis.call('SADD', KEYS[8], mark)
redis.call('PEXPIRE', KEYS[8], ${MARKS_MS})
if exists then
  redis.call('DEL', KEYS[7])
  return 2
end
local released = tonumber(ARGV[10])
redis.call('HSET', KEYS[1], 'last', ARGV[7], 'bytes', ARGV[6], 'count', count, 'sent', ARGV[8],
  'epoch', 0, 'releases', released)
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'user', ARGV[3]) end
redis.call('ZADD', KEYS[6], ARGV[2], id)
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
if count > 0 then
  redis.call('RENAME', KEYS[7], KEYS[2])
  redis.call('PERSIST', KEYS[2])
else
  redis.call('DEL', KEYS[7])
end
for index = 1, released do redis.call('HSET', KEYS[3], ARGV[10 + index], index) end
for index = 11 + released, #ARGV do redis.call('HSET', KEYS[4], ARGV[index], '') end
redis.call('DEL', KEYS[5])
if ARGV[9] ~= '' then
  for _, pair in ipairs(cjson.decode(ARGV[9])) do redis.call('HSET', KEYS[5], pair[1], pair[2]) end
end
return 1`,
)

/** Keys: retained, imported topics, usage of the retained. Arguments: topic and message in turn. Returns a place in `IMPORT_ANSWERS` for each. */
export const RETAIN: Script = script(
  `local answers = {}
for index = 1, #ARGV, 2 do
  local answer = 0
  if redis.call('SADD', KEYS[2], ARGV[index]) == 1 then
    answer = redis.call('HSETNX', KEYS[1], ARGV[index], ARGV[index + 1]) == 1 and 1 or 2
    if answer == 1 then redis.call('HINCRBY', KEYS[3], 'bytes', #ARGV[index + 1]) end
  end
  answers[#answers + 1] = answer
end
redis.call('PEXPIRE', KEYS[2], ${MARKS_MS})
return answers`,
)

/**
 * Keys: owners, wills, imported. Arguments: client id, node that it is left behind by, user, whether it has one
 * (1), message. Returns the place in `IMPORT_ANSWERS`.
 */
export const WILL: Script = script(
  `${EPOCH}local id = ARGV[1]
if redis.call('SADD', KEYS[3], 'w' .. id) == 0 then return 0 end
redis.call('PEXPIRE', KEYS[3], ${MARKS_MS})
if redis.call('HEXISTS', KEYS[1], id) == 1 then return 2 end
local claim = ARGV[4] == '1' and '-' or '${ANY_USER}'
redis.call('HSET', KEYS[1], id, table.concat({laterThan(0), ARGV[2], claim, ARGV[3]}, ' '))
redis.call('HSET', KEYS[2], id, ARGV[5])
return 1`,
)
