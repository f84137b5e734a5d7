/**
 * Lua over what one user has: sets of client ids, and of groups, in a slot of the user's own. What they name lies in
 * other slots, so a set may lag behind, and is never a step of the same script.
 */
import { script, type Script } from './scripts.ts'

/** After a new session: what a killed node has left of a user that never comes back goes then. */
const LIFETIME_MS = 30 * 86_400_000

/**
 * Keys: set of the user. Arguments: name, how many there may be, now (ms). Returns how many there are with this
 * one; 0 where it is one too many.
 */
export const ENTER: Script = script(
  `local count = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return count end
if count >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ${LIFETIME_MS})
return count + 1`,
)

/**
 * Keys: session. Arguments: epoch, account, bytes that it may queue. Says once for whom the session counts, and
 * its part of what that user may have queued.
 */
export const COUNT_FOR: Script = script(
  `if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'account', ARGV[2], 'room', ARGV[3])
return 1`,
)
