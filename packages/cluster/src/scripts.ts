/** Lua that changes the log. Its keys have one hash tag; a change and its version are one step. */
import { mending, type Keys, type OnBadValue, type Redis } from '@breakwater/redis'

/** What is stored in Redis is of this version, and of those before. */
export const FORMAT = 1

/** Left behind like a node that is gone: whoever adopts its clients publishes their wills. */
export const IMPORT_NODE = 'import'

/** With which the keys of every script begin: head, log, nodes. */
export function logKeys(keys: Keys): readonly [head: string, log: string, nodes: string] {
  return [keys.clusterHead, keys.clusterLog, keys.clusterNodes]
}

/** Those of the scripts that let somebody in. */
export function memberKeys(keys: Keys): readonly string[] {
  const { clusterLeases, clusterGeneration, clusterDeparted, clusterFormat, clusterImport } = keys
  const members = [clusterLeases, clusterGeneration, clusterDeparted]
  return [...logKeys(keys), ...members, clusterFormat, clusterImport]
}

/** Where a script runs, and who is told of what it cannot read. */
export interface ScriptPlace {
  readonly redis: Redis | undefined
  readonly onBadValue: OnBadValue
}

/** @throws {Error} Redis did not take it */
export async function evaluate(
  { redis, onBadValue }: ScriptPlace,
  script: string,
  keys: readonly string[],
  ...args: readonly (string | number)[]
): Promise<unknown> {
  if (redis === undefined) throw new Error('no connection')
  const work = (): Promise<unknown> => redis.eval(script, keys.length, ...keys, ...args)
  const mended = keys.map((key) => (key.endsWith(':log') ? [key, `${key}-usage`] : [key])).flat()
  return await mending(() => redis, mended, onBadValue, work)
}

const LOG_BYTES_MAX = 16_777_216
/** Entries that are kept at most. */
const LOG_ENTRIES_MAX = 100_000

/**
 * The oldest entries go where there are too many, or too many bytes of them; whoever has not read them reads what
 * they led to (`load`). The bytes are counted in a hash beside the log, with the bound that the node has set that
 * joined last.
 */
const APPEND_ENTRY = `local function append(head, log, entry)
  redis.call('INCR', head)
  local version, usage = redis.call('GET', head), log .. '-usage'
  redis.call('XADD', log, '0-' .. version, 'e', entry)
  local known = redis.call('HMGET', usage, 'bytes', 'max')
  local bytes, max = (known[1] or 0) + #entry, tonumber(known[2] or ${LOG_BYTES_MAX})
  local count = redis.call('XLEN', log)
  if count == 1 then bytes = #entry end
  while count > 1 and (bytes > max or count > ${LOG_ENTRIES_MAX}) do
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', log, oldest[1])
    bytes, count = bytes - #oldest[2][2], count - 1
  end
  redis.call('HSET', usage, 'bytes', bytes)
  return version
end
`

const NOW = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** Keys 7 and 8 of a script: format, import. The last argument: the newest format that is understood. */
const KNOWN_FORMAT = `local format = redis.call('GET', KEYS[7])
if format and tonumber(format) > tonumber(ARGV[#ARGV]) then return {'format', format} end
`

/**
 * The forms that this node and another one say of themselves: each must read what the other writes. What says nothing
 * of a form knows version 1 of it.
 */
const KNOWN_FORMS = `local function reads(form, version)
  for _, known in ipairs(form.reads) do if known == version then return true end end
end
local FIRST = {reads = {1}, writes = 1}
local own = cjson.decode(ARGV[2]).forms
local facts = redis.call('HGETALL', KEYS[3])
for index = 1, #facts, 2 do
  local lease = redis.call('ZSCORE', KEYS[4], facts[index])
  local isSound, other = pcall(cjson.decode, facts[index + 1])
  if facts[index] ~= ARGV[1] and lease and tonumber(lease) > now and isSound and type(other) == 'table' then
    for name, form in pairs(own) do
      local theirs = type(other.forms) == 'table' and other.forms[name] or FIRST
      if not reads(form, theirs.writes) then return {'reads', facts[index], name, theirs.writes} end
      if not reads(theirs, form.writes) then return {'writes', facts[index], name, form.writes} end
    end
  end
end
`

/**
 * Keys: head, log, nodes, leases, generation, departed, format, import. Arguments: node id, facts, lease (ms), a
 * new generation, entry, bytes of the log at most, format. Versions start at the time in ms, so that they do not
 * start below the old ones where all was lost. Returns `joined`, generation, version and whether the node was a
 * member; or, where the node must not join, `format` and the one that is stored, `import`, or `reads` or `writes` with another
 * node, a form and its version: this node does not read what that one writes, or that one not what this node writes.
 */
export const JOIN: string = `${APPEND_ENTRY}${NOW}${KNOWN_FORMAT}
if redis.call('EXISTS', KEYS[8]) == 1 then return {'import', ''} end
${KNOWN_FORMS}
redis.call('SET', KEYS[7], ARGV[7], 'NX')
redis.call('HSET', KEYS[2] .. '-usage', 'max', ARGV[6])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SET', KEYS[1], string.format('%.0f', now)) end
redis.call('SET', KEYS[5], ARGV[4], 'NX')
local added = redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
return {'joined', redis.call('GET', KEYS[5]), append(KEYS[1], KEYS[2], ARGV[5]), 1 - added}`

/**
 * Keys: head, log, nodes, leases, generation, departed. Arguments: node id, lease (ms), whether it may judge,
 * prefix of routes, after how long the clients of a dead node may be adopted (ms), the node whose clients this
 * one adopts or '', for how long that is its business (ms), its claim to that, whether it is done, its facts or
 * '' where they are as before. Returns whether the node is a member, generation, version of the head, a departed
 * node whose clients it is to adopt or '', the claim to what it adopts or '', where that is done or the node
 * is back, and the time (s, µs); declares nodes dead whose lease is over.
 *
 * A claim is the score itself, and ends in half a millisecond: where the departed node was back meanwhile and has
 * gone again the score is another one, and whoever has come to it in between is still to be adopted.
 */
export const BEAT: string = `${APPEND_ENTRY}${NOW}
local generation, head = redis.call('GET', KEYS[5]), redis.call('GET', KEYS[1])
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then return {0, generation or '', head or '0', '', '', time} end
redis.call('ZADD', KEYS[4], now + ARGV[2], ARGV[1])
if ARGV[10] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[10]) end
local function claim(node)
  redis.call('ZADD', KEYS[6], now + ARGV[7] + 0.5, node)
  return redis.call('ZSCORE', KEYS[6], node)
end
local due, claimed = '', ''
local score = ARGV[6] ~= '' and redis.call('ZSCORE', KEYS[6], ARGV[6])
if score and ARGV[9] == '1' then
  if score == ARGV[8] then redis.call('ZREM', KEYS[6], ARGV[6]) end
elseif score then
  -- Another one: the answer that gave it was lost, or it is of a later departure.
  claimed = score == ARGV[8] and claim(ARGV[6]) or ARGV[8]
end
if ARGV[3] == '1' then
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now)) do
    -- First what a slot that is being moved may refuse: nothing is half done then.
    redis.call('DEL', ARGV[4] .. dead)
    redis.call('ZREM', KEYS[4], dead)
    redis.call('HDEL', KEYS[3], dead)
    redis.call('ZADD', KEYS[6], now + ARGV[5], dead)
    head = append(KEYS[1], KEYS[2], cjson.encode({kind = 'left', node = dead, died = true}))
  end
  if ARGV[6] == '' then
    due = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, 1)[1] or ''
    if due ~= '' then claimed = claim(due) end
  end
end
return {1, generation, head, due, claimed, time}`

/**
 * Keys: head, log, nodes, leases, routes of the node, departed. Arguments: node id, entry, after how long its
 * clients may be adopted (ms) or '' where it leaves none behind.
 */
export const LEAVE: string = `${APPEND_ENTRY}${NOW}
if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return '0' end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[5])
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[6], now + ARGV[3], ARGV[1]) end
return append(KEYS[1], KEYS[2], ARGV[2])`

/**
 * Keys: head, log, nodes, routes of the node. Arguments: node id, entry, how many filters are added, these,
 * then those that are removed. Returns the version; 0 if the node is no member.
 */
export const CHANGE: string = `${APPEND_ENTRY}
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then return '0' end
local added = tonumber(ARGV[3])
for index = 4, #ARGV do
  redis.call(index < 4 + added and 'SADD' or 'SREM', KEYS[4], ARGV[index])
end
return append(KEYS[1], KEYS[2], ARGV[2])`

/**
 * Keys: head, log, nodes, leases, generation, departed, format, import. Arguments: id, for how long (ms), prefix of
 * routes, format. No node joins from here on, and one that was cut off until now reads everything anew: it is
 * declared dead. Returns `held`; or `format` and the one that is stored, `import`, or `nodes`, how many live and
 * when the last lease is over (ms).
 */
export const HOLD: string = `${APPEND_ENTRY}${NOW}${KNOWN_FORMAT}
local holder = redis.call('GET', KEYS[8])
if holder and holder ~= ARGV[1] then return {'import', ''} end
local live = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. now, '+inf', 'WITHSCORES')
if #live > 0 then return {'nodes', #live / 2, live[#live] - now} end
for _, dead in ipairs(redis.call('HKEYS', KEYS[3])) do
  redis.call('DEL', ARGV[3] .. dead)
  redis.call('ZREM', KEYS[4], dead)
  redis.call('HDEL', KEYS[3], dead)
  redis.call('ZADD', KEYS[6], now, dead)
  append(KEYS[1], KEYS[2], cjson.encode({kind = 'left', node = dead, died = true}))
end
redis.call('SET', KEYS[7], ARGV[4], 'NX')
redis.call('SET', KEYS[8], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[6], now, '${IMPORT_NODE}')
return {'held', ''}`

/** Keys: import. Arguments: id, for how long (ms); 0 ends it. Returns whether it was held. */
export const HOLD_ON: string = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`
