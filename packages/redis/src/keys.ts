/**
 * Every key and channel that Breakwater has in Redis. All start with the configured prefix
 * (`breakwater:`). The hash tag is a bucket of client ids, or of topics, so that whatever one script touches
 * lies in one slot of a Redis Cluster. Version 1.
 *
 * | key or channel | type | owner | lifetime | bounds (packages/config/src/limits.ts) | holds |
 * |---|---|---|---|---|---|
 * | `v1:{bucket}:session:<id>` | hash | node that has the client | ends with the session | `sessionsPerUserMax` of `clientIdBytesMax` and `usernameBytesMax` | `epoch` `user` `last` (queue position) `bytes` and `count` (of the queue) `sent` (position) `releases` (how many) `inbound` (bytes of these) `account` (whom it counts for) `room` (bytes that it may queue) |
 * | `v1:{bucket}:queue:<id>` | stream, ids `0-<position>` | every publisher's node appends, the owner trims | ends with the session | `queueMessagesMax`, `queueBytesMax`; of a user: `queueBytesPerUserMax` | queued QoS 1/2 messages |
 * | `v1:{bucket}:release:<id>` | hash packet id → number of the release | owner | ends with the session | `inflightMessagesMax` packet ids | PUBREC received, PUBCOMP not yet |
 * | `v1:{bucket}:inbound:<id>` | hash packet id → message | owner | ends with the session | `inboundQos2Max`, `inboundQos2BytesMax`; of a user: `queueBytesPerUserMax` | QoS 2 publishes stored, not yet released |
 * | `v1:{bucket}:shared:<id>` | hash | every publisher's node | ends with the last member of the shared subscription; the id is its whole filter | as shared-members | `last` `bytes` `count` as a session has them; `room` (bytes that it may queue); `epoch` (always 0) and `sent` are what its scripts ask for |
 * | `v1:{bucket}:shared-queue:<id>` | stream, ids `0-<position>` | every publisher's node appends, nodes with members take and move | the same | `queueMessagesMax`, `queueBytesMax`; of a user: `sharedGroupsPerUserMax`, `queueBytesPerUserMax` | QoS 1/2 messages that no member has acknowledged: `m` (message) `n` (node that has to deliver it, or nothing) `h` (hash that a member is chosen by) |
 * | `v1:{bucket}:shared-members:<id>` | set | each node its own | the same | nodes, and `sessionsPerUserMax` of each user; each in `sharedGroupsPerClientMax`, `sharedGroupsPerUserMax` | `n<node id>` of nodes with connected members, `c<client id>` of stored sessions |
 * | `v1:{bucket}:filters:<id>` | hash filter → QoS | owner | ends with the session | `filtersPerClientMax`, `filterBytesPerClientMax` | filters of a stored session that has some |
 * | `v1:{bucket}:sessions` | sorted set id → last seen, ms | every node | an entry ends with the session | `sessionsPerUserMax` of `clientIdBytesMax` | stored sessions, for expiry |
 * | `v1:{bucket}:user-sessions:<id>` | sorted set client id → when it was entered, ms | node that makes or ends a session | ends with the user's last session, or 30 days after a session was made | `sessionsPerUserMax` of `clientIdBytesMax`, and those that a killed node has left | stored sessions of one user; the id is `u<user>`, `a<address>` or nothing, see broker/session/accounts.ts |
 * | `v1:{bucket}:user-groups:<id>` | sorted set filter, `$share/…` → when it was entered, ms | node that has a member | ends with the user's last group, or 30 days after one was entered | `sharedGroupsPerUserMax` of `topicBytesMax` | groups that one user has members in |
 * | `v1:{bucket}:retained` | hash topic → message | every node | for ever | `retainedMessagesMax`, `retainedBytesMax`; of a user: `retainedMessagesPerUserMax`, `retainedBytesPerUserMax` | retained messages, in fewer buckets: a start reads the topics of all of them |
 * | `v1:{bucket}:retained-owners` | hash topic → `@<account>` | publishers' nodes | an entry ends with the retained message | `retainedMessagesMax` of `topicBytesMax` and `usernameBytesMax` | whom a retained message counts for |
 * | `v1:{bucket}:retained-usage` | hash | publishers' nodes | ends with the bucket's last retained message | `retainedMessagesMax` of `usernameBytesMax` | `bytes` (of the bucket), `@<account>` → `<messages> <bytes>` |
 * | `v1:{bucket}:owners` | hash id → `<epoch> <node id> <claim> <user>` | node that has the client | an entry ends when the client is gone, or its node | `connectionsMax` of each node, `connectionsPerUserMax` of each user, of `clientIdBytesMax` and `usernameBytesMax` | who has which client id; the epoch is at least the server's time in µs |
 * | `v1:{bucket}:wills` | hash id → message | the same | the same | as owners, of `connectBytesMax` | wills of connected clients |
 * | `v1:{bucket}:import:<id>` | stream, ids `0-<position>` | an import | until the session is imported, at most a day after the last write | `queueMessagesMax`, `queueBytesMax` | queue of a session that is not imported yet |
 * | `v1:{bucket}:imported` | set | an import | 30 days after the last import | fixed: what an operator imports, one entry each | `s<client id>` of sessions, `w<client id>` of wills that an import has dealt with |
 * | `v1:{bucket}:imported-topics` | set of topics | an import | the same | fixed: what an operator imports, one entry each | retained messages that an import has dealt with |
 * | `v1:{group}:writer:<id>` | numbers, `;` between them | one node | an hour after its last write | fixed: about 16 KB; 1,024 of each node in a Redis Cluster, one otherwise | the last write of the node's publishers that was executed; those of late that a full queue refused |
 * | `v1:{<node id>}:inbox` | stream | that node makes and trims it, every node appends | ends with its node, at most 10 minutes after it | fixed: 64 MiB each node | frames of messages and words to one node |
 * | `v1:{<node id>}:inbox-bytes` | hash | the same | the same | fixed: 4 numbers each node | `generation` (of the inbox) `in` `out` (bytes appended, read) `refused` (frames, by a full inbox) |
 * | `v1:{cluster}:head` | counter | every node | for ever | fixed: a number | version of the log's last entry |
 * | `v1:{cluster}:log` | stream, ids `0-<version>` | every node appends | the last 100,000, and no more bytes than `clusterLogBytesMax` | `clusterLogBytesMax` | changes of nodes, routes, stored sessions and retained topics |
 * | `v1:{cluster}:log-usage` | hash | every node | for ever | fixed: 2 numbers | `bytes` (of the log's entries) `max` (how many there may be) |
 * | `v1:{cluster}:nodes` | hash node id → facts (JSON) | each node its entry | an entry ends with its node | fixed: about 200 bytes each node | nodes, with the versions that they read |
 * | `v1:{cluster}:leases` | sorted set node id → end, ms | each node its entry | an entry ends with its node | fixed: a number each node | until when nobody may be declared dead |
 * | `v1:{cluster}:departed` | sorted set node id → when, ms; a claim ends in .5 | every node | an entry ends when its clients are adopted | fixed: a number each node | nodes that are gone, with when somebody may adopt their clients |
 * | `v1:{cluster}:generation` | string | first node | for ever | fixed: 36 bytes | changes when Redis comes back empty |
 * | `v1:{cluster}:format` | number | first node, or an import | for ever | fixed: a number | version of all that is stored; what knows only older ones does not start |
 * | `v1:{cluster}:import` | string, id of its process | an import | ends with it, at most 15 s after it | fixed: 36 bytes | no node may join meanwhile |
 * | `v1:{cluster}:revocations` | hash | every node | an entry ends when it is deleted, or over | `revocationsMax`, of about 2 KB each | who is not let in: `<key>:<value>` → JSON; `version` changes with every change, `restored` when what was lost is put back |
 * | `v1:{cluster}:routes:<node id>` | set of filters | that node | ends with its node | `connectionsMax` of each node, `connectionsPerUserMax` of each user × `filtersPerClientMax`, `filterBytesPerClientMax` | what the node's clients have subscribed to |
 * | `v1:{cluster}:tickets` | hash time, ms → wrapped key | every node | an entry ends when a later one is in use | fixed: 2 keys | TLS ticket keys under `BREAKWATER_TLS_TICKET_WRAP_KEY`: the one in use and the next, by when they begin |
 * | `v1:{<node id>}:notices` | channel (mqemitter-redis) | every node, that node listens | – | fixed: nothing is kept | takeovers, revocations, kicks |
 */
export const BUCKETS = 1_024
export const RETAINED_BUCKETS = 16

/** FNV-1a over the UTF-16 units: part of the layout, the same for every version of a node. */
export function bucketOf(text: string, buckets: number = BUCKETS): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return (hash >>> 0) % buckets
}

export interface Keys {
  readonly prefix: string
  session(clientId: string): string
  queue(clientId: string): string
  release(clientId: string): string
  inbound(clientId: string): string
  shared(filter: string): string
  sharedQueue(filter: string): string
  sharedMembers(filter: string): string
  filters(clientId: string): string
  sessions(bucket: number): string
  owners(bucket: number): string
  wills(bucket: number): string
  userSessions(account: string): string
  userGroups(account: string): string
  retained(bucket: number): string
  retainedOwners(bucket: number): string
  retainedUsage(bucket: number): string
  importQueue(clientId: string): string
  imported(bucket: number): string
  importedTopics(bucket: number): string
  writer(group: string | number, id: string): string
  inbox(nodeId: string): string
  inboxBytes(nodeId: string): string
  notices(nodeId: string): string
  readonly clusterHead: string
  readonly clusterLog: string
  readonly clusterLogUsage: string
  readonly clusterNodes: string
  readonly clusterLeases: string
  readonly clusterDeparted: string
  readonly clusterGeneration: string
  readonly clusterFormat: string
  readonly clusterImport: string
  readonly clusterTickets: string
  readonly clusterRevocations: string
  clusterRoutes(nodeId: string): string
}

export function keysWith(prefix: string): Keys {
  const ofClient = (kind: string) => (clientId: string) =>
    `${prefix}v1:{${bucketOf(clientId)}}:${kind}:${clientId}`
  const ofBucket = (kind: string) => (bucket: number) => `${prefix}v1:{${bucket}}:${kind}`
  return {
    prefix,
    session: ofClient('session'),
    queue: ofClient('queue'),
    release: ofClient('release'),
    inbound: ofClient('inbound'),
    shared: ofClient('shared'),
    sharedQueue: ofClient('shared-queue'),
    sharedMembers: ofClient('shared-members'),
    filters: ofClient('filters'),
    sessions: ofBucket('sessions'),
    owners: ofBucket('owners'),
    wills: ofBucket('wills'),
    userSessions: ofClient('user-sessions'),
    userGroups: ofClient('user-groups'),
    retained: ofBucket('retained'),
    retainedOwners: ofBucket('retained-owners'),
    retainedUsage: ofBucket('retained-usage'),
    importQueue: ofClient('import'),
    imported: ofBucket('imported'),
    importedTopics: ofBucket('imported-topics'),
    writer: (group, id) => `${prefix}v1:{${group}}:writer:${id}`,
    inbox: (nodeId) => `${prefix}v1:{${nodeId}}:inbox`,
    inboxBytes: (nodeId) => `${prefix}v1:{${nodeId}}:inbox-bytes`,
    notices: (nodeId) => `${prefix}v1:{${nodeId}}:notices`,
    clusterHead: `${prefix}v1:{cluster}:head`,
    clusterLog: `${prefix}v1:{cluster}:log`,
    clusterLogUsage: `${prefix}v1:{cluster}:log-usage`,
    clusterNodes: `${prefix}v1:{cluster}:nodes`,
    clusterLeases: `${prefix}v1:{cluster}:leases`,
    clusterDeparted: `${prefix}v1:{cluster}:departed`,
    clusterGeneration: `${prefix}v1:{cluster}:generation`,
    clusterFormat: `${prefix}v1:{cluster}:format`,
    clusterImport: `${prefix}v1:{cluster}:import`,
    clusterTickets: `${prefix}v1:{cluster}:tickets`,
    clusterRevocations: `${prefix}v1:{cluster}:revocations`,
    clusterRoutes: (nodeId) => `${prefix}v1:{cluster}:routes:${nodeId}`,
  }
}
