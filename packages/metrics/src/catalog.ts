/**
 * Every series a node exposes, declared once: name, type, unit, help, labels.
 *
 * The key is the metric's name without the `breakwater_` prefix. A label is either a closed list of
 * values written here, or the name of a set that the node supplies when it starts (its listeners, the
 * broker's close and drop reasons); either way every series exists, at 0, before the first event, so
 * that `rate()` sees the first increment. Client ids, topics and addresses never become labels.
 * docs/METRICS.md is held equal to this file by test/tidy/metrics-docs.test.ts.
 */
import { ADMIN_METRICS } from './admin-catalog.ts'
import { CLIENT_METRICS } from './client-catalog.ts'
import { LOGIN_METRICS } from './login-catalog.ts'
import type { MetricType } from './metric-definition.ts'

const NODE_METRICS = {
  // The node
  build_info: {
    type: 'gauge',
    unit: 'info',
    help: 'Always 1; the labels say what is running',
    labels: { version: 'version', commit: 'commit', node: 'node', openssl: 'openssl' },
  },
  start_time_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time at which the node started',
    labels: {},
  },
  eventloop_delay_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Event-loop delay: how long an event waits for the event loop',
    labels: {},
  },
  eventloop_utilization_ratio: {
    type: 'gauge',
    unit: 'ratio',
    help: 'Share of the last ten seconds in which the event loop was not idle; at 1 the node is saturated',
    labels: {},
    initial: 'absent',
  },

  log_lines_suppressed_total: {
    type: 'counter',
    unit: 'lines',
    help: 'Lines of the log that were not written because there were too many of their kind',
    labels: { kind: 'logKinds' },
  },
  log_lines_dropped_total: {
    type: 'counter',
    unit: 'lines',
    help: 'Lines of the log that were lost because standard output was not read, or could not be written',
    labels: {},
  },
  log_dropped_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of these lines',
    labels: {},
  },

  // Connections
  connections: {
    type: 'gauge',
    unit: 'connections',
    help: 'Client connections open now',
    labels: { listener: 'listeners' },
  },
  connections_opened_total: {
    type: 'counter',
    unit: 'connections',
    help: 'Connections accepted by a listener, before TLS and CONNECT',
    labels: { listener: 'listeners' },
  },
  connections_closed_total: {
    type: 'counter',
    unit: 'connections',
    help: 'Connections that ended, by the one reason that ended them',
    labels: { listener: 'listeners', reason: 'closeReasons' },
  },
  connections_max: {
    type: 'gauge',
    unit: 'connections',
    help: 'Connections at which a new one is closed: connectionsMax, or what the limit on open files leaves',
    labels: {},
  },
  admission_held: {
    type: 'gauge',
    unit: 'connections',
    help: 'Accepted sockets that wait for admission; nothing was read of them',
    labels: {},
  },
  admission_handshakes: {
    type: 'gauge',
    unit: 'connections',
    help: 'Sockets in a PROXY header, TLS or a WebSocket now',
    labels: {},
  },
  admission_unanswered: {
    type: 'gauge',
    unit: 'connections',
    help: 'Sockets that can speak MQTT and have no CONNACK yet',
    labels: {},
  },
  admission_loop_delay_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Lateness of the event loop, the least of the last five samples; above loopDelayMaxMs new sockets are closed',
    labels: {},
  },
  connack_total: {
    type: 'counter',
    unit: 'packets',
    help: 'CONNACKs sent: 0 accepted, 1 protocol level, 2 client id, 3 unavailable, 4 bad credentials, 5 not authorised',
    labels: { code: ['0', '1', '2', '3', '4', '5'] },
  },
  tls_handshakes_total: {
    type: 'counter',
    unit: 'handshakes',
    help: 'TLS handshakes that ended, by result',
    labels: { result: ['ok', 'error', 'timeout'] },
  },
  tls_sessions_total: {
    type: 'counter',
    unit: 'handshakes',
    help: 'TLS handshakes that succeeded: full ones, and those that resumed a session by its ticket',
    labels: { kind: ['full', 'resumed'] },
  },
  tls_reloads_total: {
    type: 'counter',
    unit: 'reloads',
    help: 'Changes of certificates, keys, authorities and revocation lists: used, or refused while the old ones stay',
    labels: { listener: 'listeners', result: ['ok', 'error'] },
  },
  tls_ticket_key_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time from which the ticket key is used that the nodes have made',
    labels: {},
    initial: 'absent',
  },
  tls_crl_next_update_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time by which the revocation list that a listener uses should have been replaced',
    labels: { listener: 'listeners' },
    initial: 'absent',
  },
  tls_certificate_not_after_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time at which the chain that a listener serves ends: the first end in it',
    labels: { listener: 'listeners' },
    initial: 'absent',
  },
  tls_client_authority_not_after_timestamp_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time at which the first authority of client certificates ends, by the best of its ways up',
    labels: { listener: 'listeners' },
    initial: 'absent',
  },

  revocations: {
    type: 'gauge',
    unit: 'revocations',
    help: 'Revocations by the admin API that are in force at this node; all nodes agree within seconds',
    labels: {},
  },
} as const

const MESSAGE_METRICS = {
  // Traffic
  packets_total: {
    type: 'counter',
    unit: 'packets',
    help: 'MQTT control packets, by direction and type',
    labels: {
      direction: ['in', 'out'],
      type: [
        'connect',
        'connack',
        'publish',
        'puback',
        'pubrec',
        'pubrel',
        'pubcomp',
        'subscribe',
        'suback',
        'unsubscribe',
        'unsuback',
        'pingreq',
        'pingresp',
        'disconnect',
        'auth',
      ],
    },
  },
  bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'MQTT bytes read from and written to clients, without the TLS overhead',
    labels: { direction: ['in', 'out'], listener: 'listeners' },
  },
  writes_total: {
    type: 'counter',
    unit: 'writes',
    help: 'Writes to client sockets; packets out divided by this is how well writes are coalesced',
    labels: {},
  },
  messages_received_total: {
    type: 'counter',
    unit: 'messages',
    help: 'Application messages published by clients of this node',
    labels: { qos: ['0', '1', '2'] },
  },
  messages_delivered_total: {
    type: 'counter',
    unit: 'messages',
    help: 'Application messages sent to clients of this node: as they came, from a queue, or retained',
    labels: { qos: ['0', '1', '2'], source: ['live', 'queue', 'retained'] },
  },
  messages_dropped_total: {
    type: 'counter',
    unit: 'messages',
    help: 'Copies of application messages that were given up, by reason; the only place where drops are counted',
    labels: { reason: 'dropReasons', qos: ['0', '1', '2'] },
  },
  publish_ack_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'From a PUBLISH read to its PUBACK (QoS 1) or PUBREC (QoS 2) written',
    labels: { qos: ['1', '2'] },
  },

  // State held
  sessions: {
    type: 'gauge',
    unit: 'sessions',
    help: 'Sessions known to this node, by whether their client is connected here',
    labels: { state: ['online', 'offline'] },
  },
  subscriptions: {
    type: 'gauge',
    unit: 'subscriptions',
    help: 'Subscriptions of the clients of this node; a filter with + or # is a wildcard',
    labels: { kind: ['exact', 'wildcard'] },
  },
  retained_messages: {
    type: 'gauge',
    unit: 'messages',
    help: 'Retained messages known to this node',
    labels: {},
  },
  retained_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes of the retained messages of the cluster, with their topics',
    labels: {},
  },
  queued_messages: {
    type: 'gauge',
    unit: 'messages',
    help: 'Messages that wait in the queues of sessions known to this node',
    labels: {},
  },
  inflight_messages: {
    type: 'gauge',
    unit: 'messages',
    help: 'QoS 1 and 2 messages sent to clients and not yet acknowledged by them',
    labels: {},
  },
  outbound_buffer_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes waiting in the write queues of all connections',
    labels: {},
  },
  slow_consumers: {
    type: 'gauge',
    unit: 'connections',
    help: 'Connections whose write queue is above its high-water mark now',
    labels: {},
  },

  // Redis and the bus
  redis_up: {
    type: 'gauge',
    unit: 'boolean',
    help: '1 while Redis answers a PING within five seconds (of a Redis Cluster: all masters, for all slots), 0 while it does not; absent on a node without Redis',
    labels: {},
    initial: 'absent',
  },
  redis_faults_total: {
    type: 'counter',
    unit: 'faults',
    help: 'Errors of connections to Redis, and refused commands that no client waits for, by kind; docs/REDIS.md says what to change for each',
    labels: { kind: 'redisFaults' },
  },
  redis_setting_ok: {
    type: 'gauge',
    unit: 'boolean',
    help: '1 while a setting of Redis is what Breakwater needs (of a Redis Cluster: at all masters), 0 while it is not; looked at when a connection is made and once a minute',
    labels: { kind: 'redisSettings' },
    initial: 'absent',
  },
  store_writable: {
    type: 'gauge',
    unit: 'boolean',
    help: '1 while the last write to Redis was taken, 0 while it was refused or had no answer; each node writes several times a second',
    labels: {},
    initial: 'absent',
  },
  redis_round_trip_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Round trip of the periodic PING to Redis',
    labels: {},
  },
  store_bad_values_total: {
    type: 'counter',
    unit: 'values',
    help: 'Values in Redis that could not be read and were left out, by the kind of their key; the log names the key',
    labels: { key: 'redisKeys' },
  },
  store_unconfirmed_total: {
    type: 'counter',
    unit: 'batches',
    help: 'Batches of writes that Redis executed and did not confirm in time at the level of BREAKWATER_ACK; nothing in them was acknowledged',
    labels: {},
  },
  bus_messages_total: {
    type: 'counter',
    unit: 'messages',
    help: 'Application messages sent to and received from other nodes',
    labels: { direction: ['in', 'out'] },
  },
  bus_frames_total: {
    type: 'counter',
    unit: 'frames',
    help: 'Frames with messages on the bus between nodes; bus messages divided by this is the batch size',
    labels: { direction: ['in', 'out'] },
  },
  bus_frames_unreadable_total: {
    type: 'counter',
    unit: 'frames',
    help: 'Frames from other nodes that this version cannot read; each is dealt with as a gap',
    labels: {},
  },
  bus_inbox_lag_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: "Bytes in this node's inbox that it has not read",
    labels: {},
  },
  bus_inbox_lag_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: "Age of the oldest entry in this node's inbox that it has not read, by the clock of Redis",
    labels: {},
  },
} as const

export const catalog: typeof NODE_METRICS &
  typeof ADMIN_METRICS &
  typeof MESSAGE_METRICS &
  typeof LOGIN_METRICS &
  typeof CLIENT_METRICS = {
  ...NODE_METRICS,
  ...ADMIN_METRICS,
  ...MESSAGE_METRICS,
  ...LOGIN_METRICS,
  ...CLIENT_METRICS,
}

export type Catalog = typeof catalog

/** Names of all metrics, or of those of one type. */
export type MetricName<Type extends MetricType = MetricType> = {
  [Name in keyof Catalog]: Catalog[Name]['type'] extends Type ? Name : never
}[keyof Catalog]
