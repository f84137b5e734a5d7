/** The deliver stage of one client without a network: what it is sent is decoded into a list. */
import { Duplex } from 'node:stream'
import { limitsWith } from '@breakwater/config'
import { Counter } from '@breakwater/metrics'
import { pino } from 'pino'
import { Connection } from '../../packages/broker/src/connection/connection.ts'
import { TurnFlusher } from '../../packages/broker/src/connection/turn-flusher.ts'
import { FrameSink } from '../../packages/broker/src/deliver/frame-sink.ts'
import { Events } from '../../packages/broker/src/observe/events.ts'
import { createBrokerInstruments } from '../../packages/broker/src/observe/instruments.ts'
import { NodeLog } from '../../packages/broker/src/log/node-log.ts'
import { WireDecoder, type Packet } from '../kit/wire-decoder.ts'

class Line extends Duplex {
  readonly packets: Packet[] = []
  readonly #decoder = new WireDecoder()

  override _read(): void {
    // The client says nothing by itself.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.packets.push(...this.#decoder.push(chunk))
    done()
  }

  destroySoon(): void {
    this.destroy()
  }
}

export interface OutboundKit {
  readonly sink: FrameSink
  /** What the client got so far. */
  readonly packets: readonly Packet[]
  /** Why the connection was closed, if it was. */
  readonly ends: readonly string[]
  /** Empties the list of packets. */
  forget(): void
}

export function createOutboundKit(): OutboundKit {
  const line = new Line()
  const ends: string[] = []
  const instruments = createBrokerInstruments(['mqtt'])
  const connection = new Connection({
    id: 1,
    listener: 'mqtt',
    socket: line,
    peer: '127.0.0.1:1',
    network: undefined,
    certificate: undefined,
    isSilent: false,
    permit: { answered: () => undefined },
    frameBounds: limitsWith(),
    writeBounds: { outboundMessagesMax: 10_000, outboundBytesMax: 1_000_000 },
    counters: { bytes: new Counter(), writes: new Counter(), bytesIn: new Counter() },
    flusher: new TurnFlusher(),
    handler: {
      frame: () => true,
      refused: () => undefined,
      closed: (_connection, reason) => ends.push(reason),
    },
    nowMs: 0,
  })
  connection.connected(4)
  connection.letIn()
  const logger = pino({ level: 'silent' })
  const log = new NodeLog({ logger, limits: limitsWith(), instruments })
  const events = new Events(log, instruments, ['mqtt'])
  const { packets } = line
  const forget = (): void => {
    packets.length = 0
  }
  return { sink: new FrameSink(connection, events), packets, ends, forget }
}
