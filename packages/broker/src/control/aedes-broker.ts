import type { Duplex } from 'node:stream'
import { Aedes, type Client as AedesClient } from 'aedes'
import type { AedesPersistence } from './aedes-persistence.ts'
import type { ControlStream } from './control-stream.ts'
import { ClientParser, SharedParser } from './packet-parser.ts'

export interface AedesMessage {
  readonly topic: string
  readonly payload: Buffer | string
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
}

/** What is used of a client that aedes keeps; its types leave some of it out. */
export type ControlClient = Omit<AedesClient, 'conn'> & {
  readonly conn: ControlStream
  readonly will: AedesMessage | null
}

/** What is changed in a client that aedes has just made. */
interface ClientInternals {
  _parser:
    | { listeners(event: 'packet'): ConstructorParameters<typeof ClientParser>[2][] }
    | ClientParser
  _eos: () => void
  emit(event: 'error', error: Error): boolean
}

type Callback = (error?: Error | null) => void

export interface AedesHooks {
  readonly authenticate: (
    client: ControlClient,
    username: string | undefined,
    password: Buffer | undefined,
  ) => Promise<boolean>
  readonly publishWill: (client: ControlClient, will: AedesMessage, done: Callback) => void
}

/**
 * aedes as control plane: CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT and wills. Its emitter carries
 * nothing: messages have a path of their own, and its cluster topics are replaced by the bus.
 */
export class AedesBroker extends Aedes {
  readonly #publishWill: AedesHooks['publishWill']
  readonly #parser = new SharedParser()

  constructor(persistence: AedesPersistence, hooks: AedesHooks) {
    super({
      persistence,
      // Keep-alive, connect time-out and drain are the connection's; an interval of a day is none.
      heartbeatInterval: 86_400_000,
      connectTimeout: 86_400_000,
      drainTimeout: 0,
      maxClientsIdLength: 65_535,
      // The sweep measures the keep-alive for control and data packets together; 0 disarms aedes' own timer.
      preConnect: (client, packet, callback) => {
        packet.keepalive = 0
        packet.clientId = (client as unknown as ControlClient).conn.owner.clientId
        callback(null, true)
      },
      authenticate: (client, username, password, callback) => {
        hooks
          .authenticate(
            client as unknown as ControlClient,
            username,
            password as Buffer | undefined,
          )
          .then(
            (welcome) => {
              // A refused client's connection is closed with its reason and return code already.
              if (welcome) callback(null, true)
            },
            () => undefined,
          )
      },
      // Filters were authorised before aedes saw them; messages of clients never come here.
      authorizeSubscribe: (_client, subscription, callback) => callback(null, subscription),
      authorizePublish: (_client, _packet, callback) => callback(null),
    })
    this.#publishWill = hooks.publishWill
  }

  /** A new client, without the parts that this broker does better itself. */
  accept(stream: ControlStream): ControlClient {
    const client = this.handle(stream as unknown as Duplex) as unknown as ControlClient
    const internals = client as unknown as ClientInternals
    const { _parser } = internals
    const enqueue = _parser instanceof ClientParser ? undefined : _parser.listeners('packet')[0]
    if (enqueue !== undefined)
      internals._parser = new ClientParser(internals, this.#parser, enqueue)
    // It listens for the end of its stream; the connection tells it, by `close`.
    internals._eos()
    internals._eos = nothing
    return client
  }

  /** Wills have a client; everything else is aedes' talk with itself (births, `new/clients`). */
  override publish(...args: unknown[]): void {
    const [packet, second, third] = args as [AedesMessage, unknown, Callback | undefined]
    const done = (typeof second === 'function' ? second : third) as Callback | undefined
    const client = typeof second === 'object' ? (second as ControlClient | null) : null
    if (client === null || packet.topic.startsWith('$SYS/')) done?.()
    else this.#publishWill(client, packet, (error) => done?.(error))
  }

  override subscribe(_topic: string, _listener: unknown, done: () => void): void {
    done()
  }

  override unsubscribe(_topic: string, _listener: unknown, done?: () => void): void {
    done?.()
  }
}

function nothing(): void {}
