/**
 * Lua that says who has a client id, and opens and ends its session. All keys of a script lie in the bucket of
 * the client. An owner's record is `<epoch> <node id> <claim> <user>`; node ids have no blanks. The claim is its
 * number at the node, with `+` where it made the session, or with `:<epoch>:<node id>` of the former owner: a
 * claim that is sent again, because the answer was lost, is answered as it was. `@` and a number: given by ADOPT.
 *
 * What writes begins with what a server without memory refuses, or with what frees some: nothing is half done.
 */
import { FENCED, script, type Script } from './scripts.ts'

/** Answer of a script that was asked by an owner that has been replaced. */
export const TAKEN_OVER = -3

/**
 * Keys: owners, session, queue, release, inbound, filters, sessions. Arguments: client id, now (ms), user,
 * persistent (1) or clean (0). `opened` gives the session to an epoch, or ends it; returns present, sent,
 * packet ids and numbers of `release`, packet ids of `inbound`, filters with their QoS, and whom the session counts for that is
 * there, or was until now.
 */
const SESSION = `local id = ARGV[1]
local function ended()
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
  redis.call('ZREM', KEYS[7], id)
end
local function opened(found, epoch)
  if ARGV[4] == '0' then
    if found[1] then ended() end
    return {0, '0', {}, {}, {}, found[4] or false}
  end
  if not found[1] then
    redis.call('HSET', KEYS[2], 'last', 0, 'bytes', 0, 'count', 0, 'sent', 0, 'epoch', epoch,
      'user', ARGV[3])
    redis.call('ZADD', KEYS[7], ARGV[2], id)
    return {0, '0', {}, {}, {}, false}
  end
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'user', ARGV[3])
  redis.call('ZADD', KEYS[7], ARGV[2], id)
  return {1, found[3], redis.call('HGETALL', KEYS[4]), redis.call('HKEYS', KEYS[5]),
    redis.call('HGETALL', KEYS[6]), found[4] or false}
end
`

/** With this a claim begins where nobody knows whose client it is: it was imported with its will. */
export const ANY_USER = '?'

const RECORD = '^(%d+) (%S+) (%S+) (.*)$'

/** What is none of that is an error that has the keys mended (mend.ts), and the script run again. */
const READABLE = `local function readable(record, session)
  for _, number in ipairs({record and (string.match(record, '^(%d+) %S+ %S+ ') or '?') or '0',
    session[1] or '0', session[1] and session[3] or '0'}) do
    if (tonumber(number) or 1e300) > 9007199254740991 then return false end
  end
  return true
end
`
const UNREADABLE = `return redis.error_reply('ERR what is kept of the client cannot be read')`

/** Whose client it is, in the record of an owner. */
export function nodeIn(record: Buffer | null): string | undefined {
  return record?.toString().split(' ', 2)[1]
}

/** At least the server's time in µs: a Redis that comes back empty does not start below. */
export const EPOCH = `local function laterThan(epoch)
  local now = redis.call('TIME')
  return string.format('%.0f', math.max(now[1] * 1000000 + now[2], epoch + 1))
end
`

/**
 * Keys: those of a session, wills. Arguments: those of a session, node id, number of the claim, will or ''.
 * Returns the epoch and what `opened` does; or the epoch, that of the former owner and its node; or FENCED
 * where the session is another user's. A client without a session holds its client id against those who are nobody
 * alone: any other user takes it over. There is no will without a record.
 */
export const CLAIM: Script = script(
  `${SESSION}${EPOCH}${READABLE}local record = redis.call('HGET', KEYS[1], id)
local found = redis.call('HMGET', KEYS[2], 'epoch', 'user', 'sent', 'account')
if not readable(record, found) then ${UNREADABLE} end
local last, node, claim, user = 0, nil, nil, nil
if record then last, node, claim, user = string.match(record, '${RECORD}') end
if claim and string.sub(claim, 1, 1) == '${ANY_USER}' then user = nil end
local holder = found[2]
if not holder and (found[1] or ARGV[3] == '') then holder = user end
if holder and holder ~= ARGV[3] then return ${FENCED} end
local again = node == ARGV[5] and string.match(claim, '^%w*') == ARGV[6]
local before = last
if again then before, node = string.match(claim, ':(%d+):(%S+)$') end
local mark = ''
if again and not node then mark = string.match(claim, '%+?$')
elseif node then mark = ':' .. before .. ':' .. node
elseif ARGV[4] == '1' and not found[1] then mark = '+' end
local epoch = laterThan(math.max(tonumber(last), tonumber(found[1] or 0)))
redis.call('HSET', KEYS[1], id, table.concat({epoch, ARGV[5], ARGV[6] .. mark, ARGV[3]}, ' '))
if ARGV[7] ~= '' then redis.call('HSET', KEYS[8], id, ARGV[7])
elseif record then redis.call('HDEL', KEYS[8], id) end
if node then return {epoch, before, node} end
local session = opened(found, epoch)
if mark == '+' then session[1] = 0 end
return {epoch, session}`,
)

/**
 * Keys: owners, wills. Arguments: client id, node id, number of a claim that nobody waits for any more. Where a
 * former owner is to be told of it all the same that record stays; returns what CLAIM does then, else a number.
 */
export const WITHDRAW: Script = script(
  `local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
local epoch, node, claim = string.match(record, '${RECORD}')
if node ~= ARGV[2] or string.match(claim, '^%w*') ~= ARGV[3] then return 0 end
local before, former = string.match(claim, ':(%d+):(%S+)$')
if former then return {epoch, before, former} end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1`,
)

/** Keys: those of a session. Arguments: those of a session, epoch. Returns what `opened` does. */
export const OPEN: Script = script(
  `${SESSION}${READABLE}local record = redis.call('HGET', KEYS[1], id)
if not record or string.match(record, '^%d+') ~= ARGV[5] then return ${TAKEN_OVER} end
local found = redis.call('HMGET', KEYS[2], 'epoch', 'user', 'sent', 'account')
if not readable(record, found) then ${UNREADABLE} end
if found[2] and found[2] ~= ARGV[3] then return ${FENCED} end
return opened(found, ARGV[5])`,
)

/**
 * Keys: those of a session. Arguments: client id, now (ms), seen before (ms) or ''. Leaves nothing behind,
 * unless the client is connected, which is to be seen, or the session was seen since: 0 then. Returns whom it
 * counted for, or ''.
 */
export const END: Script = script(
  `${SESSION}if redis.call('HEXISTS', KEYS[1], id) == 1 then
  redis.pcall('ZADD', KEYS[7], 'XX', ARGV[2], id)
  return 0
end
local seen = redis.call('ZSCORE', KEYS[7], id)
if seen and ARGV[3] ~= '' and tonumber(seen) >= tonumber(ARGV[3]) then return 0 end
local account = redis.call('HGET', KEYS[2], 'account')
ended()
return account or ''`,
)

/**
 * Keys: those of a session, wills. Arguments: client id, epoch. A session that was made by this owner may not be:
 * nothing is left of either.
 */
export const UNMAKE: Script = script(
  `${SESSION}local record = redis.call('HGET', KEYS[1], id)
if not record or string.match(record, '^%d+') ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[2], 'epoch') == ARGV[2] then ended() end
redis.call('HDEL', KEYS[1], id)
redis.call('HDEL', KEYS[8], id)
return 1`,
)

/** Keys: owners, wills, sessions. Arguments: client id, now (ms), epoch. Returns whether it was the owner. */
export const LEAVE: Script = script(
  `local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or string.match(record, '^%d+') ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], 'XX', ARGV[2], ARGV[1])
return 1`,
)

/**
 * Keys: owners, wills, session. Arguments: client id, epoch, node id, user, will or ''. Makes the record where
 * there is none and the session has no later owner. Returns the epoch of a later owner, or 0.
 */
export const RESTORE: Script = script(
  `local record = redis.call('HGET', KEYS[1], ARGV[1])
local last = redis.call('HGET', KEYS[3], 'epoch')
if record then last = string.match(record, '^%d+') end
if last and tonumber(last) > tonumber(ARGV[2]) then return last end
if record then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[2], ARGV[3], '-', ARGV[4]}, ' '))
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[5]) end
return 0`,
)

/**
 * Keys: owners, wills. Arguments: departed node, node that adopts, cursor, records to look at, bytes max, number of
 * the adoption, number of the call, whether clients are asked for too that earlier adoptions gave to this node
 * (1). Returns the next cursor, then client id, epoch and will in turn. Where the wills are too many bytes it
 * stops (after one at least), and the cursor is the same again: what was adopted is not found a second time,
 * unless it is the same call that was sent again because its answer was lost. In the place of the claim stands
 * `@<adoption>.<call>`.
 */
export const ADOPT: Script = script(
  `${EPOCH}local scanned = redis.call('HSCAN', KEYS[1], ARGV[3], 'COUNT', ARGV[4])
local found, bytes, mark = {scanned[1]}, 0, '@' .. ARGV[6] .. '.' .. ARGV[7]
for index = 1, #scanned[2], 2 do
  local id = scanned[2][index]
  local epoch, node, claim, user = string.match(scanned[2][index + 1], '${RECORD}')
  local given, adoption
  if node == ARGV[2] then given, adoption = string.match(claim, '(@(%w+)%.%w+)$') end
  local known = given == mark or (adoption and adoption ~= ARGV[6] and ARGV[8] == '1')
  if node == ARGV[1] or known then
    local will = redis.call('HGET', KEYS[2], id)
    if not will then
      redis.call('HDEL', KEYS[1], id)
    else
      bytes = bytes + #will
      if bytes > tonumber(ARGV[5]) and #found > 1 then
        found[1] = ARGV[3]
        break
      end
      if not known then epoch = laterThan(tonumber(epoch)) end
      local any = string.match(claim, '^%${ANY_USER}') or ''
      redis.call('HSET', KEYS[1], id, table.concat({epoch, ARGV[2], any .. mark, user}, ' '))
      found[#found + 1] = id
      found[#found + 1] = epoch
      found[#found + 1] = will
    end
  end
end
return found`,
)
