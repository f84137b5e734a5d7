/**
 * Every key and channel that Breakwater has in Redis. All start with the configured prefix
 * (`breakwater:`). Keys of one session share a hash tag, so that a script may touch them together
 * also on Redis Cluster. Version 1.
 *
 * | key or channel | type | owner | lifetime | holds |
 * |---|---|---|---|---|
 * | `v1:session:{id}` | hash | node that has the client | ends with the session | `epoch` `owner` `last` (queue position) `bytes` (of the queue) `sent` (position) |
 * | `v1:queue:{id}` | stream, ids `0-<position>` | every publisher's node appends, the owner trims | ends with the session | queued QoS 1/2 messages |
 * | `v1:release:{id}` | hash packet id → 1 | owner | ends with the session | PUBREC received, PUBCOMP not yet |
 * | `v1:inbound:{id}` | hash packet id → message | owner | ends with the session | QoS 2 publishes stored, not yet released |
 * | `v1:sessions` | sorted set id → last seen, ms | every node | for ever | all stored sessions, for expiry |
 * | `v1:epoch` | counter | every node | for ever | fencing epochs of client ids |
 * | `v1:retained` | hash topic → message | every node | for ever | retained messages |
 * | `clients`, `client:<id>` | set, hash | aedes-persistence-redis | end with the session | filters of stored sessions |
 * | `v1:bus:messages` | channel (mqemitter-redis) | every node | – | messages, a batch per event-loop turn |
 * | `v1:bus:notices` | channel (mqemitter-redis) | every node | – | takeovers, changes of filters |
 */
export interface Keys {
  readonly prefix: string
  session(clientId: string): string
  queue(clientId: string): string
  release(clientId: string): string
  inbound(clientId: string): string
  readonly sessions: string
  readonly epoch: string
  readonly retained: string
  readonly busMessages: string
  readonly busNotices: string
}

export function keysWith(prefix: string): Keys {
  const of = (kind: string) => (clientId: string) =>
    `${prefix}v1:${kind}:{${encodeURIComponent(clientId)}}`
  return {
    prefix,
    session: of('session'),
    queue: of('queue'),
    release: of('release'),
    inbound: of('inbound'),
    sessions: `${prefix}v1:sessions`,
    epoch: `${prefix}v1:epoch`,
    retained: `${prefix}v1:retained`,
    busMessages: `${prefix}v1:bus:messages`,
    busNotices: `${prefix}v1:bus:notices`,
  }
}
