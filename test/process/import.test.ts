/**
 * `breakwater import`: an aedes broker is filled over the wire, killed, and what it had is served by Breakwater.
 * Each Redis is a server of its own: aedes puts no prefix before its keys.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { findProgram } from '../kit/program.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startStockBroker } from '../kit/stock-broker.ts'
import { WireClient, type WireAddress } from '../kit/wire-client.ts'
import {
  encodePubcomp,
  encodePublish,
  encodePubrec,
  encodePubrel,
  type ConnectFields,
} from '../kit/wire-encoder.ts'
import { startAedes } from './aedes-process.ts'
import { breakwater, expectOneLine, startBreakwater, type CommandEnd } from './command.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-import-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const PREFIX = 'breakwater:'
const TIMEOUT_MS = 20_000
const TEST_MS = 180_000

interface Facts {
  readonly sessions: {
    readonly imported: number
    readonly before: number
    readonly existing: number
  }
  readonly retained: Facts['sessions']
  readonly wills: Facts['sessions']
  readonly parts: Readonly<Record<'filters' | 'messages' | 'released' | 'received', number>>
  readonly leftOut: readonly {
    readonly what: string
    readonly why: string
    readonly count: number
  }[]
}

interface AedesWriter {
  addSubscriptions(client: { id: string }, subscriptions: readonly object[]): Promise<void>
  storeRetained(packet: object): Promise<void>
  outgoingEnqueueCombi(queues: readonly { clientId: string }[], packet: object): Promise<void>
}

async function runImport(url: string, ...options: readonly string[]): Promise<Facts> {
  const end = await tryImport(url, '--json', ...options)
  expect(end).toMatchObject({ code: 0 })
  return JSON.parse(end.stdout) as Facts
}

function tryImport(url: string, ...options: readonly string[]): Promise<CommandEnd> {
  const environment = environmentFor(url)
  return breakwater(['import', '--from', url, ...options], { directory, environment })
}

function environmentFor(url: string): Readonly<Record<string, string>> {
  return { BREAKWATER_REDIS_URL: url, BREAKWATER_ALLOW_ANONYMOUS: 'true' }
}

async function connectTo(
  address: WireAddress,
  clientId: string,
  fields: ConnectFields = {},
): Promise<WireClient> {
  const client = await WireClient.open(address, { timeoutMs: TIMEOUT_MS })
  const connack = await client.connect({ clientId, clean: false, ...fields })
  expect(connack.returnCode).toBe(0)
  return client
}

function connectRedis(url: string): Redis & Disposable {
  const redis = new Redis(url)
  return Object.assign(redis, { [Symbol.dispose]: () => redis.disconnect() })
}

/** All that is stored, except what nodes and imports say of themselves. */
async function contentOf(redis: Redis): Promise<ReadonlyMap<string, string>> {
  const keys = (await redis.keys(`${PREFIX}*`)).filter((key) => !key.includes('{cluster}'))
  const dumps = await Promise.all(keys.toSorted().map((key) => redis.dumpBuffer(key)))
  return new Map(keys.toSorted().map((key, index) => [key, String(dumps[index]?.toString('hex'))]))
}

/** Client ids of the sessions that were imported. */
async function importedIds(redis: Redis): Promise<readonly string[]> {
  const keys = await redis.keys(`${PREFIX}*:imported`)
  const marks = await Promise.all(keys.map((key) => redis.smembers(key)))
  return marks.flat().flatMap((mark) => (mark.startsWith('s') ? [mark.slice(1)] : []))
}

const payloads = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${from + index}`)
const textOf = ({ payload }: { readonly payload: Buffer }): string => payload.toString()

const SESSIONS = 1_500
const QUEUED = 3
const CLIENT_IDS = Array.from({ length: SESSIONS }, (_, index) => `client-${index}`)

/** Many sessions with the same few messages, by the packages that aedes uses. */
async function fill(redisUrl: string): Promise<void> {
  await using stock = await startStockBroker({ redisUrl })
  const { persistence } = stock.broker as unknown as { readonly persistence: AedesWriter }
  const subscriptions = [{ topic: 'all', qos: 1 }]
  await Promise.all(CLIENT_IDS.map((id) => persistence.addSubscriptions({ id }, subscriptions)))
  const queues = CLIENT_IDS.map((clientId) => ({ clientId }))
  for (const [index, text] of payloads(0, QUEUED).entries())
    await persistence.outgoingEnqueueCombi(queues, {
      cmd: 'publish',
      topic: 'all',
      payload: Buffer.from(text),
      qos: 1,
      brokerId: 'broker',
      brokerCounter: index + 1,
    })
}

describe('the import of an aedes deployment', () => {
  it(
    'lets Breakwater serve each once: queues in order, QoS 2 exchanges, retained messages and wills',
    async (context) => {
      if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
      await using server = await startRedisProcess([])
      using redis = connectRedis(server.url)
      await using aedes = await startAedes(server.url)
      // A device that is away while 200 messages come, in two filters of different QoS.
      const device = await connectTo(aedes, 'device/ü')
      // One filter each: aedes never answers a SUBSCRIBE of several there.
      await device.subscribe(['d/1', 1])
      await device.subscribe(['d/2', 2])
      await device.disconnect()
      const publisher = await connectTo(aedes, 'publisher')
      for (const text of payloads(0, 200))
        await publisher.publish({
          topic: Number(text) % 3 === 0 ? 'd/2' : 'd/1',
          payload: text,
          qos: 2,
        })
      await publisher.publish({ topic: 'r/kept', payload: 'kept', qos: 1, retain: true })
      await publisher.publish({ topic: 'r/gone', payload: 'gone', qos: 1, retain: true })
      await publisher.publish({ topic: 'r/gone', payload: '', qos: 1, retain: true })
      // A subscriber in the middle of two exchanges: PUBREL was sent for one, the other was sent.
      const half = await connectTo(aedes, 'half')
      await half.subscribe(['h', 2])
      await publisher.publish({ topic: 'h', payload: 'one', qos: 2 })
      const one = await half.expect('publish')
      half.send(encodePubrec(one.packetId))
      await half.expect('pubrel')
      await publisher.publish({ topic: 'h', payload: 'two', qos: 2 })
      const two = await half.expect('publish')
      await half.drop()
      // A publisher in the middle of one: it has PUBREC, and aedes has passed its message on.
      const sender = await connectTo(aedes, 'sender')
      await sender.subscribe(['never', 1])
      sender.send(encodePublish({ topic: 'd/1', payload: '200', qos: 2, packetId: 7 }))
      await sender.expect('pubrec')
      await sender.drop()
      const witness = await connectTo(aedes, 'witness')
      await witness.subscribe(['w', 1])
      await connectTo(aedes, 'willing', { will: { topic: 'w', payload: 'last', qos: 1 } })
      await aedes.kill()

      const before = await redis.keys('*')
      const planned = await runImport(server.url, '--dry-run')
      expect((await redis.keys('*')).toSorted()).toEqual(before.toSorted())
      const { parts, ...done } = await runImport(server.url)
      expect({ ...done, parts }).toMatchObject({
        sessions: { imported: 4, before: 0, existing: 0 },
        retained: { imported: 1 },
        wills: { imported: 1 },
        parts: { filters: 5, messages: 202, released: 1, received: 1 },
      })
      expect(planned).toMatchObject({ sessions: done.sessions, retained: done.retained, parts })
      expect(await redis.keys(`${PREFIX}*:import*:device*`)).toEqual([])
      expect(await redis.exists(...before)).toBe(before.length)

      {
        const settings = { redisUrl: server.url, redisPrefix: PREFIX }
        await using node = await startNode({ ...settings, limits: { nodeLeaseMs: 500 } })
        expectOneLine(await tryImport(server.url), /import: 1 node runs on it: stop all of them/)
        await using watcher = await connectTo(node, 'watcher')
        await watcher.subscribe(['r/#', 1])
        expect((await watcher.receive(1)).map(textOf)).toEqual(['kept'])
        await using heard = await connectTo(node, 'witness')
        expect((await heard.receive(1)).map(textOf)).toEqual(['last'])

        await using again = await connectTo(node, 'half')
        const released = await again.expect('pubrel')
        expect(released.packetId).toBe(one.packetId)
        const repeated = await again.expect('publish')
        expect(repeated).toMatchObject({ dup: true, qos: 2, payload: Buffer.from('two') })
        // From here up the packet ids are those of shared subscriptions.
        if (two.packetId < 57_344) expect(repeated.packetId).toBe(two.packetId)
        again.send(encodePubcomp(released.packetId), encodePubrec(repeated.packetId))
        await again.expect('pubrel')
        again.send(encodePubcomp(repeated.packetId))
        await again.expectSilence()

        await using sending = await connectTo(node, 'sender')
        const twice = { topic: 'd/1', payload: '200', qos: 2, packetId: 7 }
        sending.send(encodePublish({ ...twice, dup: true }))
        await sending.expect('pubrec')
        sending.send(encodePubrel(7))
        await sending.expect('pubcomp')
        // The packet id is free again, on this connection and on the next.
        await sending.publish({ topic: 'd/1', payload: '201', qos: 2, packetId: 7 })
        await sending.drop()
        await using later = await connectTo(node, 'sender')
        await later.publish({ topic: 'd/1', payload: '202', qos: 2, packetId: 7 })
        await using back = await connectTo(node, 'device/ü')
        const got = await back.receive(203)
        expect(got.map(textOf)).toEqual(payloads(0, 203))
        expect(got.slice(0, 200).map(({ topic, qos }) => [topic, qos])).toEqual(
          payloads(0, 200).map((text) => (Number(text) % 3 === 0 ? ['d/2', 2] : ['d/1', 1])),
        )
        await back.expectSilence()
        await later.publish({ topic: 'r/kept', payload: '', qos: 1, retain: true })
        await back.disconnect()
      }

      const left = await contentOf(redis)
      const second = await runImport(server.url)
      expect(second).toMatchObject({
        sessions: { imported: 0, before: 4, existing: 0 },
        retained: { imported: 0, before: 1 },
        wills: { imported: 0, before: 1 },
      })
      expect(await contentOf(redis)).toEqual(left)
    },
    TEST_MS,
  )

  it(
    'completes in a second run after a killed run: no message is imported twice, and no later change is undone',
    async (context) => {
      if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
      await using server = await startRedisProcess([])
      using redis = connectRedis(server.url)
      await using proxy = await startRedisProxy(server.url)
      await fill(server.url)
      const killed = startBreakwater(['import', '--from', proxy.url], {
        directory,
        environment: environmentFor(server.url),
      })
      const gone = once(killed, 'exit')
      while ((await importedIds(redis)).length === 0) await immediate()
      proxy.stall()
      killed.kill('SIGKILL')
      await gone
      await proxy.restore()
      const before = await importedIds(redis)
      expect(before.length).toBeLessThan(SESSIONS)

      const settings = { redisUrl: server.url, redisPrefix: PREFIX }
      await expect(startNode(settings)).rejects.toThrow(
        /^BREAKWATER_REDIS_URL: an import is under way/,
      )
      expectOneLine(await tryImport(server.url), /^breakwater: import: an import is under way/)
      // As if the time had passed.
      await redis.pexpire(`${PREFIX}v1:{cluster}:import`, 1)
      const [early = ''] = before
      const late = CLIENT_IDS.find((id) => !before.includes(id)) ?? ''
      {
        await using node = await startNode(settings)
        await using first = await connectTo(node, early)
        expect((await first.receive(QUEUED)).map(textOf)).toEqual(payloads(0, QUEUED))
        await first.unsubscribe('all')
        await first.disconnect()
        await using second = await connectTo(node, late)
        await second.subscribe(['other', 1])
        await second.publish({ topic: 'other', payload: 'newer', qos: 1 })
        await second.drop()
      }
      expect((await runImport(server.url)).sessions).toEqual({
        imported: SESSIONS - before.length - 1,
        before: before.length,
        existing: 1,
      })
      await using node = await startNode(settings)
      await using first = await connectTo(node, early)
      await first.expectSilence()
      await using second = await connectTo(node, late)
      expect((await second.receive(1)).map(textOf)).toEqual(['newer'])
      const others = CLIENT_IDS.filter((id) => id !== early && id !== late)
      expect(others).toHaveLength(SESSIONS - 2)
      for (const id of [...others.slice(0, 20), ...others.slice(-20)]) {
        await using client = await connectTo(node, id)
        expect((await client.receive(QUEUED)).map(textOf)).toEqual(payloads(0, QUEUED))
      }
      expect((await redis.keys(`${PREFIX}*:import:*`)).toSorted()).toEqual([])
    },
    TEST_MS,
  )

  it(
    'leaves out, counts and names entries that a node would have refused',
    async (context) => {
      if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
      await using server = await startRedisProcess([])
      await using stock = await startStockBroker({ redisUrl: server.url })
      const { persistence } = stock.broker as unknown as { readonly persistence: AedesWriter }
      await persistence.addSubscriptions({ id: 'c' }, [
        { topic: 'kept/#', qos: 1 },
        { topic: 'not/#/valid', qos: 1 },
        { topic: '$share/g/t', qos: 1 },
      ])
      const packets = ['1', '2', 'x'.repeat(2_000), '3', '4', '5'].map((payload, index) => ({
        cmd: 'publish',
        topic: payload === '2' ? 'kept/+' : 'kept/t',
        payload: Buffer.from(payload),
        qos: 1,
        brokerId: 'broker',
        brokerCounter: index,
      }))
      for (const packet of packets)
        await persistence.outgoingEnqueueCombi([{ clientId: 'c' }], packet)
      await persistence.storeRetained({ ...packets[0], topic: '$SYS/uptime', retain: true })
      const environment = {
        ...environmentFor(server.url),
        BREAKWATER_LIMIT_QUEUE_MESSAGES_MAX: '3',
        BREAKWATER_LIMIT_PACKET_BYTES_MAX: '1000',
      }
      const options = { directory, environment }
      const end = await breakwater(['import', '--from', server.url], options)
      expect(end).toMatchObject({ code: 0 })
      expect(end.stdout.split('\n')).toEqual([
        'sessions: 1 imported, 0 by an earlier run, 0 left as they are here',
        '  with 1 filters, 3 queued messages, 0 QoS 2 exchanges',
        'retained: 0 imported, 0 by an earlier run, 0 left as they are here',
        'wills: 0 imported, 0 by an earlier run, 0 left as they are here',
        'left out: 1 × filter: invalid filter',
        'left out: 1 × filter: shared subscription, which aedes does not have',
        'left out: 1 × queued message: invalid topic',
        'left out: 1 × queued message: packet larger than packetBytesMax',
        'left out: 1 × queued message: queue longer than its limits',
        "left out: 1 × retained message: one of the broker's own topics",
        expect.stringMatching(/^\d+(\.\d)? s$/),
        '',
      ])
      await using node = await startNode({ redisUrl: server.url, redisPrefix: PREFIX })
      await using client = await connectTo(node, 'c')
      expect((await client.receive(3)).map(textOf)).toEqual(['3', '4', '5'])
    },
    TEST_MS,
  )

  it('fails when the source does not answer, or when the target cannot be written', async () => {
    const nowhere = 'redis://127.0.0.1:1'
    expectOneLine(await tryImport(nowhere), /^breakwater: import: --from: .*ECONNREFUSED/)
    const end = await breakwater(['import', '--from', nowhere], { directory })
    expectOneLine(end, /^breakwater: import: no Redis to import into; set BREAKWATER_REDIS_URL/)
  })
})
