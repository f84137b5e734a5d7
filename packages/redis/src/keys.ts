/**
 * Every key and channel that Breakwater has in Redis. All start with the configured prefix
 * (`breakwater:`). Keys of one session share a hash tag; the filters are where
 * aedes-persistence-redis looks for them, which is outside of it. Version 1.
 *
 * | key or channel | type | owner | lifetime | holds |
 * |---|---|---|---|---|
 * | `v1:session:{id}` | hash | node that has the client | ends with the session | `epoch` `last` (queue position) `bytes` (of the queue) `sent` (position) `releases` (how many) |
 * | `v1:queue:{id}` | stream, ids `0-<position>` | every publisher's node appends, the owner trims | ends with the session | queued QoS 1/2 messages |
 * | `v1:release:{id}` | hash packet id → number of the release | owner | ends with the session | PUBREC received, PUBCOMP not yet |
 * | `v1:inbound:{id}` | hash packet id → message | owner | ends with the session | QoS 2 publishes stored, not yet released |
 * | `client:<id>` | hash filter → QoS | owner | ends with the session | filters of one stored session |
 * | `clients` | set of ids | owners | an entry ends with the session | stored sessions that have filters |
 * | `v1:sessions` | sorted set id → last seen, ms | every node | an entry ends with the session | all stored sessions, for expiry |
 * | `v1:epoch` | counter, at least the server's time in µs | every node | for ever | fencing epochs of client ids |
 * | `v1:retained` | hash topic → message | every node | for ever | retained messages |
 * | `v1:bus:messages` | channel (mqemitter-redis) | every node | – | messages, a batch per event-loop turn |
 * | `v1:bus:notices` | channel (mqemitter-redis) | every node | – | takeovers, changes of filters |
 */
export interface Keys {
  readonly prefix: string
  session(clientId: string): string
  queue(clientId: string): string
  release(clientId: string): string
  inbound(clientId: string): string
  filters(clientId: string): string
  readonly clients: string
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
    filters: (clientId) => `${prefix}client:${encodeURIComponent(clientId)}`,
    clients: `${prefix}clients`,
    sessions: `${prefix}v1:sessions`,
    epoch: `${prefix}v1:epoch`,
    retained: `${prefix}v1:retained`,
    busMessages: `${prefix}v1:bus:messages`,
    busNotices: `${prefix}v1:bus:notices`,
  }
}
