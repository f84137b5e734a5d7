/** What comes before a client is let in. */
import { encodeConnect, encodePublish, remainingLength } from '../../kit/wire-encoder.ts'
import type { AttackCase, PartyMaker } from '../attack-case.ts'
import type { Random } from '../../soak/random.ts'
import { Attacker } from '../attacker.ts'
import { eachTime, many, nextName } from '../parties.ts'
import type { Scene } from '../scene.ts'

const CONNECTIONS = 30

type PortOf = (scene: Scene) => number

interface Knock {
  readonly port?: PortOf
  readonly isTls?: boolean
  readonly bytes: (scene: Scene) => Buffer
  /** How the client ends it; by default it waits until the node does. */
  readonly end?: 'reset' | 'fin'
}

const plain: PortOf = ({ node }) => node.port

/** Connections one after the other, each with these bytes. */
function knocks({ port = plain, isTls = false, bytes, end }: Knock): PartyMaker {
  return eachTime(async (scene) => {
    let sent = 0
    const one = async (): Promise<void> => {
      const options = isTls ? { ca: scene.node.ca } : { isMqtt: false }
      const attacker = await Attacker.open(port(scene), options)
      attacker.send(bytes(scene))
      if (end === 'reset') {
        // What was written is on its way before the reset.
        await new Promise<void>((resolve) => void attacker.socket.write('', () => resolve()))
        attacker.socket.resetAndDestroy()
      } else if (end === 'fin') attacker.socket.end()
      await attacker.end()
      sent += attacker.bytes
    }
    for (let count = 0; count < CONNECTIONS; count += 10) await Promise.all(many(10, one))
    return sent
  })
}

/** As many connections that are let in, say so, and leave. */
function visits(port: PortOf = plain, header = ''): PartyMaker {
  const bytes = (): Buffer =>
    Buffer.concat([Buffer.from(header), encodeConnect({ clientId: nextName() })])
  return knocks({ port, bytes, end: 'fin' })
}

const visited = 'connections that send CONNECT and go'
/** What CONNECT may be at most. */
const CONNECT_BYTES = 16_000

function fullConnect(): Buffer {
  const will = { topic: 'free/will', payload: 'x'.repeat(CONNECT_BYTES - 100) }
  return encodeConnect({ clientId: nextName(), will })
}

function noise(random: Random, bytes: number): Buffer {
  return Buffer.from(many(bytes, () => random.integer(0, 255)))
}

const PROXY_HEADER = 'PROXY TCP4 192.0.2.7 192.0.2.1 40000 1883\r\n'

export const arrivals: readonly AttackCase[] = [
  {
    name: 'unfinished CONNECTs',
    sends: '300 connections at once with the first 16 KB of a CONNECT that never ends',
    comparedWith: 'CONNECTs of that size, one after the other',
    scene: 'alone',
    attack: eachTime(async ({ node }) => {
      const attackers = await Promise.all(
        many(300, async () => {
          const attacker = await Attacker.open(node.port)
          attacker.send(fullConnect().subarray(0, -1))
          return attacker
        }),
      )
      // They stay until the node has read what they sent.
      await using last = await Attacker.connect(node.port, { clientId: nextName() })
      await last.settled()
      for (const { socket } of attackers) socket.destroy()
      await Promise.all(attackers.map((attacker) => attacker.end()))
      return attackers.reduce((sum, { bytes }) => sum + bytes, 0)
    }),
    harmless: knocks({ bytes: fullConnect, end: 'fin' }),
  },
  {
    name: 'largest CONNECTs',
    sends: 'CONNECTs of 16 KB with the longest client id, and a will in 100 levels of 4 KB',
    comparedWith: 'CONNECTs of that size with a short client id and a short topic',
    scene: 'alone',
    attack: knocks({
      bytes: () => {
        const topic = `free${'/'.padEnd(41, 'w').repeat(99)}`
        const payload = 'x'.repeat(CONNECT_BYTES - 4_500)
        return encodeConnect({ clientId: nextName().padEnd(256, 'x'), will: { topic, payload } })
      },
      end: 'fin',
    }),
    harmless: knocks({ bytes: fullConnect, end: 'fin' }),
  },
  {
    name: 'first packet other than CONNECT',
    sends: 'connections that begin with 250 KB of PUBLISH',
    comparedWith: visited,
    scene: 'alone',
    attack: knocks({
      bytes: () => encodePublish({ topic: 'free/a', payload: 'x'.repeat(250_000) }),
    }),
    harmless: visits(),
  },
  {
    name: 'CONNECT that says it is huge',
    sends: 'connections that begin with a CONNECT of 256 MB, by its length',
    comparedWith: visited,
    scene: 'alone',
    attack: knocks({
      bytes: () => Buffer.concat([Buffer.from([0x10]), remainingLength(268_435_455)]),
    }),
    harmless: visits(),
    // A few bytes on each connection: what is compared is the connection.
    ratioMax: 16,
  },
  {
    name: 'client id claims',
    sends: 'CONNECTs with one client id, each of which takes over from the one before',
    comparedWith: visited,
    scene: 'alone',
    attack: knocks({ bytes: () => encodeConnect({ clientId: 'claimed-id--0' }), end: 'fin' }),
    harmless: visits(),
  },
  {
    name: 'resets',
    sends: 'connections that send half a ClientHello and are reset',
    comparedWith: visited,
    scene: 'alone',
    attack: knocks({
      port: ({ node }) => node.tlsPort,
      bytes: () => Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]), Buffer.alloc(16)]),
      end: 'reset',
    }),
    harmless: visits(),
  },
  {
    name: 'garbage for TLS',
    sends: 'connections that send a TLS listener 2 KB that are not TLS',
    comparedWith: visited,
    scene: 'alone',
    attack: knocks({
      port: ({ node }) => node.tlsPort,
      // No record begins with an n.
      bytes: ({ random }) => Buffer.concat([Buffer.from('no TLS '), noise(random, 1_993)]),
    }),
    harmless: visits(),
  },
  {
    name: 'garbage for PROXY',
    sends: 'connections that send a PROXY listener 2 KB that are not a PROXY header',
    comparedWith: 'a PROXY header, CONNECT, and the end',
    scene: 'alone',
    attack: knocks({
      port: ({ ports }) => ports.proxy,
      bytes: ({ random }) => Buffer.concat([Buffer.from('no header '), noise(random, 1_990)]),
    }),
    harmless: visits(({ ports }) => ports.proxy, PROXY_HEADER),
  },
  {
    name: 'invalid PROXY headers',
    sends: 'PROXY headers with impossible addresses, ports and families',
    comparedWith: 'a PROXY header, CONNECT, and the end',
    scene: 'alone',
    attack: knocks({
      port: ({ ports }) => ports.proxy,
      bytes: () =>
        Buffer.concat([
          Buffer.from('PROXY TCP4 192.0.2.256 ::1 65536 -1\r\n'),
          encodeConnect({ clientId: nextName() }),
        ]),
      end: 'fin',
    }),
    harmless: visits(({ ports }) => ports.proxy, PROXY_HEADER),
  },
]
