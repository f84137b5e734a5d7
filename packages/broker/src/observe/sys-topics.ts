/**
 * `$SYS/broker/…`: what a node says of itself to subscribers, with Mosquitto's names where they mean the same
 * (docs/SYS.md lists all of them).
 *
 * In: the gauges and counters of the node, and which nodes live. Out: QoS 0 messages, each interval. Those
 * under `$SYS/broker/` stay at this node; those under `$SYS/broker/nodes/<own id>/` go to nodes that have a
 * subscriber for them, as every message does. Nothing of it is stored. Bounds: the topics below, once per
 * interval, and one more per node of the cluster.
 */
import { Message } from '@breakwater/bus'
import type { Counter, Gauge } from '@breakwater/metrics'
import { DROP_REASONS } from '../connection/close-reason.ts'
import type { Events } from './events.ts'
import type { BrokerInstruments } from './instruments.ts'
import type { Gauges } from './gauges.ts'
import type { Router } from '../route/router.ts'
import { VERSION } from '../version.ts'

const ROOT = '$SYS/broker'

export interface SysTopicsOptions {
  readonly nodeId: string
  readonly intervalMs: number
  readonly instruments: BrokerInstruments
  readonly listeners: readonly string[]
  readonly events: Events
  readonly gauges: Gauges
  readonly router: Router
  readonly cluster: { readonly others: readonly string[] }
}

type Values = Readonly<Record<string, string | number>>

export class SysTopics implements Disposable {
  readonly #options: SysTopicsOptions
  readonly #startedAt = performance.now()
  readonly #own: () => Values
  readonly #known = new Set<string>()
  readonly #timer: NodeJS.Timeout

  constructor(options: SysTopicsOptions) {
    this.#options = options
    this.#own = countersOf(options)
    this.#say()
    this.#timer = setInterval(() => this.#say(), options.intervalMs)
    this.#timer.unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #say(): void {
    const { nodeId, gauges } = this.#options
    gauges.collect()
    const seconds = Math.floor((performance.now() - this.#startedAt) / 1_000)
    const own = {
      version: `breakwater version ${VERSION}`,
      uptime: `${seconds} seconds`,
      ...this.#own(),
    }
    for (const [name, value] of Object.entries(own)) {
      this.#tell(name, value, 'here')
      this.#tell(`nodes/${nodeId}/${name}`, value, 'everywhere')
    }
    for (const [name, value] of Object.entries(this.#shared())) this.#tell(name, value, 'here')
    this.#tellNodes()
  }

  /** What every node of the cluster would say in the same way. */
  #shared(): Values {
    const { nodeId, cluster, instruments } = this.#options
    const offline = instruments.gauge('sessions').cell({ state: 'offline' }).value
    return {
      'clients/disconnected': offline,
      'retained messages/count': instruments.gauge('retained_messages').cell().value,
      node: nodeId,
      'nodes/count': cluster.others.length + 1,
    }
  }

  #tellNodes(): void {
    const { nodeId, cluster, router } = this.#options
    const living = new Set([nodeId, ...cluster.others])
    for (const id of this.#known) {
      if (living.has(id)) continue
      // Nobody who subscribes later is told of a node that is gone.
      router.server.delete(this.#tell(`nodes/${id}/state`, 'down', 'here').topic)
      this.#known.delete(id)
    }
    for (const id of living) {
      this.#known.add(id)
      this.#tell(`nodes/${id}/state`, 'up', 'here')
    }
  }

  #tell(name: string, value: string | number, where: 'here' | 'everywhere'): Message {
    const { router } = this.#options
    const message = new Message(`${ROOT}/${name}`, Buffer.from(String(value)), 0, false)
    router.server.set(message)
    router.publishServerTopic(message, where)
    return message
  }
}

/** Reads what concerns this node alone; the series are looked up once. */
function countersOf({ instruments, listeners, events }: SysTopicsOptions): () => Values {
  const bytes = instruments.counter('bytes_total')
  const dropped = instruments.counter('messages_dropped_total')
  const subscriptions = instruments.gauge('subscriptions')
  const online = instruments.gauge('sessions').cell({ state: 'online' })
  const cells = {
    received: listeners.map((listener) => bytes.cell({ direction: 'in', listener })),
    sent: listeners.map((listener) => bytes.cell({ direction: 'out', listener })),
    dropped: DROP_REASONS.flatMap((reason) =>
      (['0', '1', '2'] as const).map((qos) => dropped.cell({ reason, qos })),
    ),
    subscriptions: (['exact', 'wildcard'] as const).map((kind) => subscriptions.cell({ kind })),
    delivered: Object.values(events.delivered).flat(),
  }
  return () => ({
    'clients/connected': online.value,
    'messages/received': sum(events.packetsIn),
    'messages/sent': sum(events.packetsOut),
    'publish/messages/received': sum(events.received),
    'publish/messages/sent': sum(cells.delivered),
    'publish/messages/dropped': sum(cells.dropped),
    'bytes/received': sum(cells.received),
    'bytes/sent': sum(cells.sent),
    'subscriptions/count': sum(cells.subscriptions),
  })
}

function sum(cells: readonly (Counter | Gauge | undefined)[]): number {
  return cells.reduce((total, cell) => total + (cell?.value ?? 0), 0)
}
