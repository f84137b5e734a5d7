/** What WebSocket frames can carry, and how. */
import { encodeConnect, encodePublish } from '../../kit/wire-encoder.ts'
import type { AttackCase, PartyMaker } from '../attack-case.ts'
import { Attacker } from '../attacker.ts'
import { many, nextName } from '../parties.ts'

const WS_REQUEST = [
  'GET /mqtt HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: mqtt',
  '\r\n',
].join('\r\n')

/** Of at most 125 bytes, under a mask that changes nothing. */
function wsFrame(firstByte: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([firstByte, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

const FINAL_BINARY = 0x82
const PING = 0x89

/** `Attacker` reads MQTT; here it comes in frames. */
function untilSeen({ socket, ended }: Attacker, wanted: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (ended) resolve()
    let tail = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      const seen = Buffer.concat([tail, chunk])
      tail = seen.subarray(1 - wanted.length)
      if (seen.includes(wanted)) done()
    }
    const done = (): void => {
      socket.off('data', onData)
      socket.off('close', done)
      resolve()
    }
    socket.on('data', onData)
    socket.once('close', done)
  })
}

const PING_FRAME = wsFrame(FINAL_BINARY, Buffer.from([0xc0, 0]))
const PINGRESP = Buffer.from([0xd0, 0])

async function open(port: number): Promise<Attacker> {
  const opened = await Attacker.open(port, { isMqtt: false })
  await exchange(opened, Buffer.from(WS_REQUEST), wsFrame(FINAL_BINARY, hello()))
  return opened
}

/** Sends these and a PINGREQ, and waits for its answer; gives the bytes that it sent. */
async function exchange(attacker: Attacker, ...sent: readonly Buffer[]): Promise<number> {
  const before = attacker.bytes
  const answered = untilSeen(attacker, PINGRESP)
  attacker.send(...sent, PING_FRAME)
  await answered
  return attacker.bytes - before
}

/** One WebSocket whose client was let in; another one like it where the node has closed it. */
function webSocket(frames: readonly Buffer[]): PartyMaker {
  const bytes = Buffer.concat(frames)
  return async ({ ports }) => {
    let attacker = await open(ports.ws)
    return {
      async strike() {
        if (attacker.ended) attacker = await open(ports.ws)
        return exchange(attacker, bytes)
      },
      async [Symbol.asyncDispose]() {
        attacker.socket.destroy()
        await attacker.end()
      },
    }
  }
}

function hello(): Buffer {
  return encodeConnect({ clientId: nextName() })
}

const small = encodePublish({ topic: 'free/a' })

export const webSockets: readonly AttackCase[] = [
  {
    name: 'WebSocket frames of one byte',
    sends: 'publishes, each byte of them in a WebSocket frame of its own',
    comparedWith: 'small publishes, each in a WebSocket frame',
    scene: 'alone',
    attack: webSocket(
      many(1_000, () =>
        [...small].map((byte) => wsFrame(FINAL_BINARY, Buffer.from([byte]))),
      ).flat(),
    ),
    harmless: webSocket(many(5_000, () => wsFrame(FINAL_BINARY, small))),
  },
  {
    name: 'WebSocket pings',
    sends: 'WebSocket pings of 100 bytes',
    comparedWith: 'publishes of that size, each in a WebSocket frame',
    scene: 'alone',
    attack: webSocket(many(5_000, () => wsFrame(PING, Buffer.alloc(100)))),
    harmless: webSocket(
      many(5_000, () =>
        wsFrame(FINAL_BINARY, encodePublish({ topic: 'free/a', payload: 'x'.repeat(90) })),
      ),
    ),
  },
]
