import type { Duplex } from 'node:stream'
import type { StoredSubscription } from '@breakwater/store'
import { Aedes, type Client as AedesClient } from 'aedes'
import type { AedesPersistence } from './aedes-persistence.ts'
import type { ControlStream } from './control-stream.ts'
import { ClientParser, SharedParser } from './packet-parser.ts'

/** What is used of a client that aedes keeps; its types leave some of it out. */
export type ControlClient = Omit<AedesClient, 'conn'> & {
  readonly conn: ControlStream
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
  ) => Promise<readonly StoredSubscription[] | undefined>
}

/**
 * aedes as control plane: CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT. Its emitter carries nothing: messages
 * and wills have a path of their own, and its cluster topics are replaced by the bus.
 */
export class AedesBroker extends Aedes {
  readonly #parser = new SharedParser()

  constructor(persistence: AedesPersistence, hooks: AedesHooks) {
    super({
      persistence,
      // Keep-alive, connect time-out and drain are the connection's; an interval of a day is none.
      heartbeatInterval: 86_400_000,
      connectTimeout: 86_400_000,
      drainTimeout: 0,
      authenticate: (client, _username, _password, callback) => {
        hooks.authenticate(client as unknown as ControlClient).then(
          (subscriptions) => {
            // A refused client's connection is closed with its reason and return code already.
            if (subscriptions === undefined) return
            const { id } = client
            persistence.during(id, subscriptions, () => callback(null, true))
          },
          () => undefined,
        )
      },
      // Filters were authorised before aedes saw them; messages of clients never come here.
      authorizeSubscribe: (_client, subscription, callback) => callback(null, subscription),
      authorizePublish: (_client, _packet, callback) => callback(null),
    })
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

  /** aedes' talk with itself (births, `new/clients`). */
  override publish(...args: unknown[]): void {
    const [, second, third] = args
    const done = (typeof second === 'function' ? second : third) as Callback | undefined
    done?.()
  }

  override subscribe(_topic: string, _listener: unknown, done: () => void): void {
    done()
  }

  override unsubscribe(_topic: string, _listener: unknown, done?: () => void): void {
    done?.()
  }
}

function nothing(): void {}
