/**
 * What is done about a key that holds something else than keys.ts says: another type, a number that is none, an id
 * that nothing can come behind. Whoever writes there would fail for ever; so what cannot be read is removed, or
 * counted again from what can be, and it is told which key it was. Messages are not judged here: one that cannot be
 * read is left out by whoever reads it.
 *
 * Run where Redis refuses a command for what a key holds, and once for the keys of the cluster when a node starts.
 */
import type { Redis } from 'ioredis'
import { faultOf } from './fault.ts'
import { kindOfKey, redisTypes, type RedisKeyKind } from './key-kinds.ts'

/** One value that was left out, or put right. `why`: in words. */
export interface BadValue {
  readonly kind: RedisKeyKind
  readonly key: string
  readonly why: string
  /** What reading it has thrown, if it has. */
  readonly cause?: Error
}

export type OnBadValue = (bad: BadValue) => void

/** Of what stands among the nodes and has no lease. */
const STRANGER_LEASE_MS = 60_000

const typeTable = Object.entries(redisTypes)
  .map(([kind, type]) => `['${kind}'] = '${type}'`)
  .join(', ')

/**
 * Defines `mender`, which makes a function of a key that mends it and returns what was wrong, or nothing. Part of
 * scripts that mend what they meet: nothing is made before there is something to mend.
 */
export const MEND_LUA: string = `local function mender()
  local call = redis.call
  local types = {${typeTable}}
  local function whole(text)
    return text and string.match(text, '^%d+$') and tonumber(text) <= 9007199254740991
  end
  local function named(key, kind, rest)
    return string.match(key, '^(.-v1:{[^}]*}:)') .. kind .. (rest or string.match(key, '^.-v1:{[^}]*}:[a-z%-]+(.*)$'))
  end
  local function lastId(key)
    local info = call('XINFO', 'STREAM', key)
    for index = 1, #info, 2 do
      if info[index] == 'last-generated-id' then return string.match(info[index + 1], '^(%d+)%-(%d+)$') end
    end
  end
  local function without(key, wrong)
    local found, all = 0, call('HGETALL', key)
    for index = 1, #all, 2 do
      if wrong(all[index], all[index + 1]) then
        call('HDEL', key, all[index])
        found = found + 1
      end
    end
    return found > 0 and 'fields that are none' or nil
  end
  -- Bytes and count of a queue, from its entries.
  local function recount(session, queue)
    local bytes, entries = 0, call('XRANGE', queue, '-', '+')
    for _, entry in ipairs(entries) do bytes = bytes + #entry[2][2] end
    call('HSET', session, 'bytes', bytes, 'count', #entries)
  end
  local function isStream(key) return call('TYPE', key)['ok'] == 'stream' end
  local function mendSession(key, queue)
    local found = call('HMGET', key, 'last', 'epoch', 'bytes', 'count', 'sent', 'releases', 'inbound', 'room')
    if not whole(found[1]) or not whole(found[2]) then
      call('DEL', key)
      return 'its position or epoch is no number'
    end
    local why
    if not whole(found[3]) or not whole(found[4]) then
      if isStream(queue) then recount(key, queue) else call('HSET', key, 'bytes', 0, 'count', 0) end
      why = 'its size is no number'
    end
    if not whole(found[5]) then
      call('HSET', key, 'sent', 0)
      why = 'what was sent is no number'
    end
    for index, field in ipairs({'releases', 'inbound', 'room'}) do
      if found[5 + index] and not whole(found[5 + index]) then
        call('HDEL', key, field)
        why = field .. ' is no number'
      end
    end
    return why
  end
  local function mendQueue(key, session, fields)
    local last = call('TYPE', session)['ok'] == 'hash' and call('HGET', session, 'last')
    if not whole(last) then return end
    local ms, seq = lastId(key)
    local sound, kept = ms == '0' and tonumber(seq) <= tonumber(last), {}
    for _, entry in ipairs(call('XRANGE', key, '-', '+')) do
      local ok = string.sub(entry[1], 1, 2) == '0-' and tonumber(string.sub(entry[1], 3)) <= tonumber(last)
      for index, field in ipairs(fields) do ok = ok and entry[2][2 * index - 1] == field end
      if ok then kept[#kept + 1] = entry else sound = false end
    end
    if sound then return end
    call('DEL', key)
    for _, entry in ipairs(kept) do call('XADD', key, entry[1], unpack(entry[2])) end
    recount(session, key)
    return 'entries that are none'
  end
  local rules = {
    session = function(key) return mendSession(key, named(key, 'queue')) end,
    shared = function(key) return mendSession(key, named(key, 'shared-queue')) end,
    queue = function(key) return mendQueue(key, named(key, 'session'), {'m'}) end,
    ['shared-queue'] = function(key) return mendQueue(key, named(key, 'shared'), {'m', 'n', 'h'}) end,
    release = function(key)
      return without(key, function(id, order) return not whole(id) or not whole(order) end)
    end,
    filters = function(key) return without(key, function(_, qos) return not string.match(qos, '^[012]$') end) end,
    owners = function(key)
      return without(key, function(_, record) return not whole(string.match(record, '^(%d+) %S+ %S+ ')) end)
    end,
    ['retained-usage'] = function(key)
      local why = without(key, function(field, usage)
        return not string.match(usage, field == 'bytes' and '^%-?%d+$' or '^%d+ %d+$')
      end)
      if why then
        local bytes, retained = 0, named(key, 'retained')
        if call('TYPE', retained)['ok'] == 'hash' then
          for _, topic in ipairs(call('HKEYS', retained)) do bytes = bytes + call('HSTRLEN', retained, topic) end
        end
        call('HSET', key, 'bytes', bytes)
      end
      return why
    end,
    ['inbox-bytes'] = function(key) return without(key, function(_, number) return not whole(number) end) end,
    head = function(key)
      if whole(call('GET', key)) then return end
      local now = call('TIME')
      call('SET', key, string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
      return 'it is no number'
    end,
    log = function(key)
      local head, ms, seq = named(key, 'head', ''), lastId(key)
      if ms ~= '0' or not whole(seq) then
        call('DEL', key)
        return 'an id that is none'
      end
      local at = call('TYPE', head)['ok'] == 'string' and call('GET', head)
      if whole(at) and tonumber(at) >= tonumber(seq) then return end
      call('SET', head, seq)
      return 'it goes beyond its head'
    end,
    ['log-usage'] = function(key) return without(key, function(_, number) return not whole(number) end) end,
    nodes = function(key)
      local leases, found, now = named(key, 'leases', ''), 0, call('TIME')
      local is = call('TYPE', leases)['ok']
      if is ~= 'zset' then return end
      for _, node in ipairs(call('HKEYS', key)) do
        -- One that is a node renews it; nobody else does.
        found = found + call('ZADD', leases, 'NX', now[1] * 1000 + ${STRANGER_LEASE_MS}, node)
      end
      return found > 0 and 'nodes without a lease' or nil
    end,
    format = function(key)
      if string.match(call('GET', key), '^%d+$') then return end
      call('DEL', key)
      return 'it is no number'
    end,
    import = function(key, tag)
      -- An import has set when it ends.
      if tag ~= 'cluster' or call('PEXPIRE', key, 15000, 'NX') == 0 then return end
      call('DEL', key)
      return 'no import holds it'
    end,
    revocations = function(key)
      return without(key, function(field, text)
        return (field == 'version' or field == 'restored') and not whole(text)
      end)
    end,
    tickets = function(key)
      local now = call('TIME')
      -- A key is there before its time, by less than a year.
      local latest = now[1] * 1000 + 31536000000
      return without(key, function(from) return not whole(from) or tonumber(from) > latest end)
    end,
  }
  return function(key)
    local tag, kind = string.match(key, 'v1:{([^}]*)}:([a-z%-]+)')
    local wanted = types[kind]
    if kind == 'import' and tag ~= 'cluster' then wanted = 'stream' end
    local is = wanted and call('TYPE', key)['ok']
    if not wanted or is == 'none' then return end
    if is ~= wanted then
      call('DEL', key)
      return 'it is a ' .. is .. ', not a ' .. wanted
    end
    return rules[kind] and rules[kind](key, tag)
  end
end
`

const SOURCE = `${MEND_LUA}
local mend, found = mender(), {}
for index, key in ipairs(KEYS) do found[index] = mend(key) or '' end
return found`

/** Redis refuses a command for what a key holds. */
export function isBadValue(error: Error): boolean {
  return (
    error.name === 'ReplyError' &&
    /^(WRONGTYPE|ERR) /.test(error.message) &&
    faultOf(error).kind === 'other'
  )
}

/**
 * Keys of one hash tag. Returns whether something was wrong with them; each is told.
 *
 * @throws {Error} Redis does not answer, or the user has no right to do it
 */
export async function mend(
  redis: Redis,
  keys: readonly string[],
  onBadValue: OnBadValue,
): Promise<boolean> {
  const found = (await redis.eval(SOURCE, keys.length, ...keys)) as string[]
  for (const [index, why] of found.entries()) {
    if (why === '') continue
    const key = keys[index] as string
    onBadValue({ kind: kindOfKey(key).kind, key, why })
  }
  return found.some((why) => why !== '')
}

/**
 * Does it, and once more where it was refused for what one of these keys holds, and that could be mended.
 *
 * @throws {Error} what it throws
 */
export async function mending<Result>(
  redis: () => Redis | undefined,
  keys: readonly string[],
  onBadValue: OnBadValue,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const place = redis()
    if (place?.status !== 'ready' || !isBadValue(error as Error)) throw error
    const isMended = await mend(place, keys, onBadValue).catch(() => false)
    if (!isMended) throw error
    return await work()
  }
}
