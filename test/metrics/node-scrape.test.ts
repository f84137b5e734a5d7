/** The page of a node that has served clients: each event is counted once, under the right labels. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { WireClient } from '../kit/wire-client.ts'
import {
  encodeConnect,
  encodePingreq,
  encodePublish,
  type ConnectFields,
} from '../kit/wire-encoder.ts'

const SERIES_MAX = 1_500
const user = { username: 'keeper', password: 'light' } as const

type Page = ReadonlyMap<string, number>

let node: TestNode
let page: Page
let text: string
/** Bytes that the clients of the plain listener wrote and read, and those inside of TLS. */
const bytes = { in: 0, out: 0, tlsIn: 0, tlsOut: 0 }
const resources = new AsyncDisposableStack()

beforeAll(async () => {
  node = resources.use(
    await startNode({
      users: { [user.username]: user.password },
      limits: { handshakeTimeoutMs: 200 },
    }),
  )
  const ended: WireClient[] = []
  const open = async (fields?: ConnectFields): Promise<WireClient> => {
    const client = resources.use(await WireClient.open(node))
    if (fields !== undefined) await client.connect({ ...user, ...fields })
    return client
  }

  // Served: a subscriber that stays, a publisher that drops, a latecomer that says goodbye.
  const subscriber = await open({ clientId: 'listening-client' })
  await subscriber.subscribe(['t', 2], ['r/+', 1])
  const publisher = await open({ clientId: 'publisher' })
  for (const qos of [0, 1, 2]) await publisher.publish({ topic: 't', payload: `qos ${qos}`, qos })
  await publisher.publish({ topic: 'r/x', payload: 'kept', qos: 1, retain: true })
  expect(await subscriber.receive(4)).toHaveLength(4)
  subscriber.send(encodePublish({ topic: '$SYS/x', payload: 'denied' }))
  await subscriber.expectSilence()
  const latecomer = await open({ clientId: 'latecomer' })
  await latecomer.subscribe(['r/x', 1])
  expect(await latecomer.receive(1)).toMatchObject([{ retain: true }])
  await latecomer.unsubscribe('r/x')
  await latecomer.disconnect()
  await publisher.drop()
  ended.push(latecomer, publisher)

  // Refused, each with another return code; and one that does not even send CONNECT.
  for (const [fields, returnCode] of [
    [{ protocolLevel: 5, clientId: 'five' }, 1],
    [{ clean: false, clientId: '' }, 2],
    [{ username: 'keeper', password: 'dark', clientId: 'wrong' }, 4],
    [{ clientId: 'nobody' }, 5],
  ] as const) {
    const client = await open()
    client.send(encodeConnect(fields))
    expect(await client.untilClosed()).toEqual([
      { type: 'connack', sessionPresent: false, returnCode },
    ])
    ended.push(client)
  }
  const stranger = await open()
  stranger.send(encodePingreq())
  await stranger.expectClosed()
  ended.push(stranger)

  // TLS: served, plain text, silence.
  const tls = { ca: node.ca, servername: 'localhost' }
  const secure = resources.use(await WireClient.open({ ...node, port: node.tlsPort, tls }))
  const frame = encodeConnect({ ...user, clientId: 'secure' })
  secure.send(frame)
  await secure.expect('connack')
  await secure.disconnect()
  bytes.tlsIn = frame.length + 2
  bytes.tlsOut = 4
  const plain = connect(node.tlsPort, node.host)
  plain.on('error', () => undefined)
  await once(plain, 'connect')
  plain.write('GET / HTTP/1.1\r\n\r\n')
  const silent = resources.use(await WireClient.open({ ...node, port: node.tlsPort }))
  await silent.expectClosed()
  plain.destroy()

  await node.logged(() => node.closeReasons().length === 10)
  for (const { socket } of [...ended, subscriber]) {
    bytes.in += socket.bytesWritten
    bytes.out += socket.bytesRead
  }
  // What the store counts is asked for by one scrape and shown by the next.
  await scrape()
  text = await scrape()
  page = parse(text)
})
afterAll(() => resources.disposeAsync())

async function scrape(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)
  expect(response.status).toBe(200)
  return response.text()
}

function parse(body: string): Page {
  const lines = body.split('\n').filter((line) => line.startsWith('breakwater_'))
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ')
      return [line.slice('breakwater_'.length, end), Number(line.slice(end + 1))]
    }),
  )
}

/** The series of one metric that are not 0, by the text between the braces. */
function series(name: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const [key, value] of page) {
    const [metric, labels = ''] = key.split(/[{}]/)
    if (metric === name && value !== 0) found[labels.replaceAll('"', '')] = value
  }
  return found
}

it('the metrics page of a busy node is accepted by promtool', (context) => {
  const [promtool] = skipWithout(context, 'promtool')
  const check = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8' })
  expect(check).toMatchObject({ status: 0, stdout: '', stderr: '' })
})

it(`the metrics page of a busy node has at most ${SERIES_MAX} series`, () => {
  const count = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
  expect(count).toBeGreaterThan(200)
  expect(count).toBeLessThanOrEqual(SERIES_MAX)
})

it('the metrics page contains no client id, topic, user name or address', () => {
  for (const word of ['listening-client', 'latecomer', 'keeper', 'r/x', '127.0.0.1'])
    expect(text).not.toContain(`"${word}`)
})

it('the metrics page counts connections by listener and by close reason', () => {
  expect(series('connections_opened_total')).toEqual({ 'listener=mqtt': 8, 'listener=mqtts': 3 })
  expect(series('connections')).toEqual({ 'listener=mqtt': 1 })
  expect(series('connections_closed_total')).toEqual({
    'listener=mqtt,reason=disconnected': 1,
    'listener=mqtt,reason=connection-lost': 1,
    'listener=mqtt,reason=unsupported-protocol-version': 1,
    'listener=mqtt,reason=client-id-rejected': 1,
    'listener=mqtt,reason=bad-credentials': 1,
    'listener=mqtt,reason=not-authorized': 1,
    'listener=mqtt,reason=protocol-violation': 1,
    'listener=mqtts,reason=disconnected': 1,
    'listener=mqtts,reason=handshake-failed': 1,
    'listener=mqtts,reason=handshake-timeout': 1,
  })
})

it('the metrics page counts CONNACKs by return code, refusals included, and TLS handshakes by result', () => {
  expect(series('connack_total')).toEqual({
    'code=0': 4,
    'code=1': 1,
    'code=2': 1,
    'code=4': 1,
    'code=5': 1,
  })
  expect(series('tls_handshakes_total')).toEqual({
    'result=ok': 1,
    'result=error': 1,
    'result=timeout': 1,
  })
})

it('the metrics page counts packets by direction and type', () => {
  expect(series('packets_total')).toEqual({
    'direction=in,type=connect': 8,
    'direction=in,type=publish': 5,
    'direction=in,type=puback': 3,
    'direction=in,type=pubrec': 1,
    'direction=in,type=pubrel': 1,
    'direction=in,type=pubcomp': 1,
    'direction=in,type=subscribe': 2,
    'direction=in,type=unsubscribe': 1,
    // What comes instead of a CONNECT is not read as a packet.
    'direction=in,type=pingreq': 1,
    'direction=in,type=disconnect': 2,
    'direction=out,type=connack': 8,
    'direction=out,type=publish': 5,
    'direction=out,type=puback': 2,
    'direction=out,type=pubrec': 1,
    'direction=out,type=pubrel': 1,
    'direction=out,type=pubcomp': 1,
    'direction=out,type=suback': 2,
    'direction=out,type=unsuback': 1,
    'direction=out,type=pingresp': 1,
  })
})

it('the metrics page counts the same bytes as the clients', () => {
  expect(series('bytes_total')).toEqual({
    'direction=in,listener=mqtt': bytes.in,
    'direction=out,listener=mqtt': bytes.out,
    'direction=in,listener=mqtts': bytes.tlsIn,
    'direction=out,listener=mqtts': bytes.tlsOut,
  })
  const packets = Object.entries(series('packets_total'))
  const packetsOut = packets
    .filter(([labels]) => labels.startsWith('direction=out'))
    .reduce((sum, [, count]) => sum + count, 0)
  expect(page.get('writes_total')).toBeGreaterThan(0)
  expect(page.get('writes_total')).toBeLessThanOrEqual(packetsOut)
})

it('the metrics page counts messages by QoS', () => {
  expect(series('messages_received_total')).toEqual({ 'qos=0': 2, 'qos=1': 2, 'qos=2': 1 })
  expect(series('messages_delivered_total')).toEqual({
    'qos=0,source=live': 1,
    'qos=1,source=live': 2,
    'qos=2,source=live': 1,
    'qos=1,source=retained': 1,
  })
  expect(series('messages_dropped_total')).toEqual({ 'reason=denied,qos=0': 1 })
})

it('the metrics page has the latency of acknowledgements', () => {
  expect(series('publish_ack_duration_seconds_count')).toEqual({ 'qos=1': 2, 'qos=2': 1 })
})

it('the metrics page shows current connections, sessions, subscriptions and queues', () => {
  expect(series('sessions')).toEqual({ 'state=online': 1 })
  expect(series('subscriptions')).toEqual({ 'kind=exact': 1, 'kind=wildcard': 1 })
  expect(series('retained_messages')).toEqual({ '': 1 })
  for (const name of ['inflight_messages', 'queued_messages', 'outbound_buffer_bytes'])
    expect(series(name)).toEqual({})
})
