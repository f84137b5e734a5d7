/**
 * Lua over the sessions of one user: a set of client ids in a slot of the user's own. A session is entered when it
 * has been made and leaves when it has ended, so the set may lag behind, and is never a step of the same script.
 */
import { script, type Script } from './scripts.ts'

/** After a new session: what a killed node has left of a user that never comes back goes then. */
const LIFETIME_MS = 30 * 86_400_000

/**
 * Keys: sessions of the user. Arguments: client id, how many there may be. Returns how many there are with this
 * one; 0 where it is one too many.
 */
export const ENTER: Script = script(
  `local count = redis.call('SCARD', KEYS[1])
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return count end
if count >= tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
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
