import { Duplex } from 'node:stream'
import { Counter } from '@breakwater/metrics'
import { expect, test } from 'vitest'
import { Connection } from '../connection/connection.ts'
import { TurnFlusher } from '../connection/turn-flusher.ts'
import type { ControlHost } from './client-control.ts'
import { ControlPlane } from './control-plane.ts'

/** The node's end of a socket whose client takes everything. */
class Line extends Duplex {
  override _read(): void {
    // Nothing comes.
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  destroySoon(): void {
    this.end(() => this.destroy())
  }
}

const CONNECT = {
  protocolLevel: 4,
  clean: true,
  sessionExpiryS: undefined,
  keepAliveS: 0,
  clientId: 'c',
  username: undefined,
  password: undefined,
  will: undefined,
  properties: undefined,
} as const
const neverAsked = (): never => {
  throw new Error('it was not let in')
}

test('a defect while a client is let in closes it with internal-error, and is told with its stack', async () => {
  const told: [what: string, error: unknown][] = []
  const ended = Promise.withResolvers<readonly (string | undefined)[]>()
  const flusher = new TurnFlusher()
  const host: ControlHost = {
    connect: {
      authenticate: () => Promise.reject(new TypeError('a mistake')),
      openSession: neverAsked,
      refusalNow: neverAsked,
    },
    subscriptions: { decide: neverAsked, subscribed: neverAsked, unsubscribed: neverAsked },
    rate: { controlPacketsPerSecondMax: 0, controlBytesPerSecondMax: 0 },
    ratePauses: new Counter(),
    unexpected: (what, error) => told.push([what, error]),
  }
  await using control = await ControlPlane.create(host)
  const connection = new Connection({
    id: 1,
    listener: 'mqtt',
    socket: new Line(),
    peer: '192.0.2.1:1234',
    network: undefined,
    certificate: undefined,
    isSilent: true,
    permit: { answered: () => undefined },
    frameBounds: { packetBytesMax: 1_000, connectBytesMax: 1_000 },
    writeBounds: { outboundMessagesMax: 100, outboundBytesMax: 10_000 },
    counters: { bytes: new Counter(), writes: new Counter(), bytesIn: new Counter() },
    flusher,
    handler: {
      frame: neverAsked,
      refused: () => undefined,
      closed: (_, reason, detail) => ended.resolve([reason, detail]),
    },
    nowMs: 0,
  })
  control.connect(connection, CONNECT)
  expect(await ended.promise).toEqual(['internal-error', 'a mistake'])
  expect(told.map(([what]) => what)).toEqual(['authentication'])
  const [[, error] = []] = told
  expect(error).toMatchObject({ stack: expect.stringContaining('control-plane.test.ts') })
})
