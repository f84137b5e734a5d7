/**
 * What nodes share: the store, the bus and the cluster, in Redis or, for a node that is alone, in its memory.
 */
import {
  createRedisBus,
  ENVELOPE_VERSIONS,
  FRAME_VERSIONS,
  MemoryBusHub,
  type Bus,
  type RedisBusOptions,
} from '@breakwater/bus'
import {
  createRedisCluster,
  SoloCluster,
  type Cluster,
  type Forms,
  type NodeFacts,
} from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import { isRelocation, type BadValue, type RedisNeeds, type RedisSettings } from '@breakwater/redis'
import { createRedisStore, MemoryStore, type OnFenced, type Store } from '@breakwater/store'
import type { Events } from '../observe/events.ts'
import type { BrokerInstruments } from '../observe/instruments.ts'
import { InboxWatch } from './inbox-watch.ts'
import { RedisMonitor } from './redis-monitor.ts'

/** Freed with the stack. @throws {Error} Redis cannot be used, or not now */
/** What nodes exchange; the later versions are written as soon as a client speaks MQTT 5. */
const FORMS: Forms = {
  envelope: { reads: ENVELOPE_VERSIONS, writes: 1 },
  frame: { reads: FRAME_VERSIONS, writes: 1 },
}

/** What nodes share. */
export interface Backplane {
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
}

export async function openBackplane(
  config: Config,
  settings: RedisSettings | undefined,
  events: Events,
  instruments: BrokerInstruments,
  stack: AsyncDisposableStack,
  { onFenced, facts }: { readonly onFenced: OnFenced; readonly facts: () => NodeFacts },
): Promise<Backplane> {
  if (settings === undefined) {
    const bus = stack.use(new MemoryBusHub().join())
    return {
      store: stack.use(
        new MemoryStore({
          ...config.limits,
          queuePolicy: config.queuePolicy,
          shares: config.limits,
        }),
      ),
      bus,
      cluster: new SoloCluster(() => ({ id: bus.nodeId, ...facts() })),
    }
  }
  const onFault = (error: Error): void => events.redis.fault(error)
  const onWritten = (error: Error | undefined): void => {
    events.redis.written(error === undefined)
    // Of connections their own errors tell.
    if (error?.name === 'ReplyError' && !isRelocation(error)) events.redis.fault(error)
  }
  const onBadValue = (bad: BadValue): void => events.redis.badValue(bad)
  const timeoutMs = config.limits.storeTimeoutMs
  stack.use(await RedisMonitor.start(settings, needsOf(config), instruments, events.redis))
  const { queueMessagesMax, queueBytesMax } = config.limits
  const store = stack.use(
    await createRedisStore(settings, {
      timeoutMs,
      onFault,
      onFenced,
      queueMessagesMax,
      queueBytesMax,
      queuePolicy: config.queuePolicy,
      shares: config.limits,
      ack: config.ack,
      onHeld: (why) => events.acknowledgementsHeld(why),
      onWritten,
      onBadValue,
    }),
  )
  const bus = stack.use(
    await createRedisBus(settings, {
      timeoutMs,
      onFault,
      onFrame: frameCounter(instruments),
      onDropped: (reason, messages) => events.busDropped(reason, messages),
      onBadValue,
    }),
  )
  stack.use(new InboxWatch(bus, instruments))
  const { nodeLeaseMs, viewLeaseMs, willTakeOverWindowMs, clusterLogBytesMax } = config.limits
  const cluster = stack.use(
    await createRedisCluster(settings, {
      nodeId: bus.nodeId,
      forms: FORMS,
      facts,
      leaseMs: nodeLeaseMs,
      viewLeaseMs,
      adoptAfterMs: willTakeOverWindowMs,
      logBytesMax: clusterLogBytesMax,
      timeoutMs,
      onFault,
      onWritten,
      onBadValue,
    }),
  )
  return { store, bus, cluster }
}

/** What the level of acknowledgements asks of Redis. */
function needsOf({ ack }: Config): Omit<RedisNeeds, 'clustered'> {
  const [level, replicas] = ack.split(':')
  return { disk: level === 'fsynced', replicas: Number(replicas ?? 0) }
}

function frameCounter(instruments: BrokerInstruments): NonNullable<RedisBusOptions['onFrame']> {
  const frames = instruments.counter('bus_frames_total')
  const cells = {
    in: frames.cell({ direction: 'in' }),
    out: frames.cell({ direction: 'out' }),
    unreadable: instruments.counter('bus_frames_unreadable_total').cell(),
  }
  return (what) => {
    cells[what].add(1)
  }
}
