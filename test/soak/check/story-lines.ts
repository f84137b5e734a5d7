/** Histories for the tests of the checkers, written as a person would tell them; times are 10 ms apart. */
import type { Entry, HistoryLine } from '../history.ts'
import { indexHistory, type HistoryIndex } from './history-index.ts'

export class StoryLines {
  readonly lines: HistoryLine[] = []
  #at = 0

  /** Lets time pass. */
  wait(ms: number): this {
    this.#at += ms
    return this
  }

  add(entry: Entry): this {
    this.#at += 10
    this.lines.push({ ...entry, at: this.#at })
    return this
  }

  /** CONNECT and its CONNACK. */
  connect(client: string, connection: number, options: ConnectOptions = {}): this {
    const { clean = false, sessionPresent = false, node = 'a#1', will, willTopic } = options
    return this.add({
      kind: 'connect',
      client,
      connection,
      node,
      clean,
      ...(will === undefined ? {} : { will }),
      ...(willTopic === undefined ? {} : { willTopic }),
    }).add({ kind: 'connack', client, connection, returnCode: 0, sessionPresent })
  }

  subscribe(client: string, connection: number, filter: string, qos = 1): this {
    return this.add({ kind: 'subscribe', client, connection, filter, qos }).add({
      kind: 'suback',
      client,
      connection,
      filter,
      qos,
    })
  }

  /** PUBLISH, without an acknowledgement. */
  publish(message: string, options: PublishOptions = {}): this {
    const { client = 'pub', connection = 1, topic = 't', qos = 1 } = options
    const { dup = false, retain = false } = options
    const packetId = 1
    const facts = { client, connection, message, topic, qos, retain, dup, packetId } as const
    return this.add({ kind: 'publish', ...facts })
  }

  /** PUBLISH and its last acknowledgement. */
  published(message: string, options: PublishOptions = {}): this {
    const { client = 'pub', connection = 1, qos = 1 } = options
    const facts = { client, connection, message, packetId: 1 }
    this.publish(message, options)
    if (qos === 1) return this.add({ kind: 'puback', ...facts })
    return this.add({ kind: 'pubrec', ...facts })
      .add({ kind: 'pubrel', ...facts })
      .add({ kind: 'pubcomp', ...facts })
  }

  deliver(
    client: string,
    connection: number,
    message: string,
    { packetId = 1, dup = false, qos = 1, topic = 't', retain = false }: DeliverOptions = {},
  ): this {
    const facts = { client, connection, message, topic, qos, packetId, dup, retain } as const
    return this.add({ kind: 'delivered', ...facts })
  }

  answer(client: string, connection: number, message: string, packetId = 1): this {
    return this.add({ kind: 'answer', client, connection, message, packetId })
  }

  closed(client: string, connection: number, by: 'client' | 'broker' = 'client'): this {
    return this.add({ kind: 'closed', client, connection, by })
  }

  fault(fault: string, phase: 'begin' | 'end', target = 'a'): this {
    return this.add({ kind: 'fault', fault, target, phase })
  }

  get index(): HistoryIndex {
    return indexHistory(this.lines)
  }
}

interface ConnectOptions {
  readonly clean?: boolean
  readonly sessionPresent?: boolean
  readonly node?: string
  readonly will?: string
  readonly willTopic?: string
}

interface PublishOptions {
  readonly client?: string
  readonly connection?: number
  readonly topic?: string
  readonly qos?: 0 | 1 | 2
  readonly dup?: boolean
  readonly retain?: boolean
}

interface DeliverOptions {
  readonly packetId?: number
  readonly dup?: boolean
  readonly qos?: 0 | 1 | 2
  readonly topic?: string
  readonly retain?: boolean
}

/** A publisher on connection 1 and a persistent subscriber `sub` on connection 2, subscribed to `t`. */
export function pair(options: { readonly clean?: boolean } = {}): StoryLines {
  return new StoryLines().connect('pub', 1).connect('sub', 2, options).subscribe('sub', 2, 't')
}
