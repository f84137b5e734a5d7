/**
 * The connections of a node, from the decrypted socket to the close: each is made here, gets its frames handled by
 * dispatch.ts, and is forgotten here.
 */
import type { Config } from '@breakwater/config'
import type { ClientTrust } from '@breakwater/certificates'
import type { ByteStream } from '../connection/byte-stream.ts'
import { Connection } from '../connection/connection.ts'
import { Sweep } from '../connection/sweep.ts'
import { TurnFlusher } from '../connection/turn-flusher.ts'
import type { ControlPlane } from '../control/control-plane.ts'
import { Dispatch } from '../dispatch.ts'
import type { PeerFacts } from '../listen/listener.ts'
import { factsOf, type Events } from '../observe/events.ts'
import type { BrokerInstruments } from '../observe/instruments.ts'
import type { Stages } from './stages.ts'

export interface ConnectionsOptions {
  readonly config: Config
  readonly events: Events
  readonly instruments: BrokerInstruments
  readonly control: ControlPlane
  readonly stages: Stages
  readonly connections: Set<Connection>
  readonly isStopping: () => boolean
}

/** What a listener has let through. */
export type Accept = (socket: ByteStream, facts: PeerFacts, trust: ClientTrust | undefined) => void

/** Gives for each listener what takes its sockets. */
export function connectionsOf(
  options: ConnectionsOptions,
  stack: AsyncDisposableStack,
): (listener: string) => Accept {
  const { config, events, instruments, control, stages, connections, isStopping } = options
  const { limits } = config
  const sweep = stack.use(new Sweep(connections, limits))
  const dispatch = new Dispatch({
    events,
    limits,
    connect: (connection, frame) => control.connect(connection, frame),
    closed: (connection, client, reason, detail) => {
      connections.delete(connection)
      sweep.closing(connection)
      events.connectionClosed(factsOf(connection), reason, detail)
      if (client !== undefined) stages.sessions.end(client, reason)
    },
  })
  const flusher = new TurnFlusher()
  const bytes = instruments.counter('bytes_total')
  let lastId = 0
  return (listener) => {
    const counters = {
      bytes: bytes.cell({ direction: 'out', listener }),
      bytesIn: bytes.cell({ direction: 'in', listener }),
      writes: events.writes,
    }
    return (socket, { claims, ...facts }, trust) => {
      lastId += 1
      if (claims !== undefined) events.connectionProxied(listener, facts.peer, claims)
      const connection = new Connection({
        ...facts,
        id: lastId,
        listener,
        socket,
        frameBounds: limits,
        writeBounds: limits,
        counters,
        flusher,
        handler: dispatch,
        nowMs: performance.now(),
      })
      connections.add(connection)
      stages.enforcement.begins(connection, trust)
      if (isStopping()) connection.close('shutting-down')
    }
  }
}
