/** Members of shared subscriptions that stall, leave or die: what they have not acknowledged goes to others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { spawnNode } from '../kit/node.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt, startCluster, type Cluster } from './cluster.ts'
import { drainAll, Member, payloadsOf } from './shared-member.ts'
import { keysOf } from './redis-keys.ts'

const WINDOW = 8
const LEASE_MS = 3_000
const MESSAGES = 100
const NUMBERS = Array.from({ length: MESSAGES }, (_, index) => String(index))

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster({
    limits: { inflightMessagesMax: WINDOW, nodeLeaseMs: LEASE_MS },
  })
})
afterAll(() => cluster[Symbol.asyncDispose]())

/** Numbered from 0, all under way at once. */
async function publishAll(publisher: WireClient, topic: string, qos: 1 | 2): Promise<void> {
  if (qos === 2) {
    for (const payload of NUMBERS) await publisher.publish({ topic, payload, qos })
    return
  }
  for (const payload of NUMBERS)
    publisher.send(encodePublish({ topic, payload, qos, packetId: publisher.nextPacketId() }))
  for (const _ of NUMBERS) await publisher.take('puback')
}

/** Keys of a shared subscription. */
async function keysOfGroup(filter: string): Promise<string[]> {
  const keys = await keysOf(cluster.redis)
  return keys.filter((key) => key.includes('}:shared') && key.endsWith(`:${filter}`))
}

describe.each([1, 2] as const)('a shared subscription at QoS %i:', (qos) => {
  it('a member whose window is full is passed over, and its messages go to another member when it leaves', async () => {
    const topic = unique('t')
    const filter = `$share/g/${topic}`
    const silent = await Member.join(cluster.a, filter, qos, { acknowledges: false })
    const member = await Member.join(cluster.a, filter, qos)
    await using publisher = await connectAt(cluster.a)
    await publishAll(publisher, topic, qos)
    await drainAll([silent, member], MESSAGES)
    expect(silent.payloads).toHaveLength(WINDOW)
    expect(member.payloads).toHaveLength(MESSAGES - WINDOW)
    await silent.drop()
    expect(await drainAll([member], MESSAGES)).toEqual(NUMBERS)
    await member.leave()
    await expect.poll(() => keysOfGroup(filter)).toEqual([])
  })

  it('the messages that the last member of a node has not acknowledged go to another node', async () => {
    const topic = unique('t')
    const filter = `$share/g/${topic}`
    const silent = await Member.join(cluster.a, filter, qos, { acknowledges: false })
    await using publisher = await connectAt(cluster.a)
    await publishAll(publisher, topic, qos)
    await drainAll([silent], WINDOW)
    const member = await Member.join(cluster.b, filter, qos)
    await silent.drop()
    expect(await drainAll([member], MESSAGES)).toEqual(NUMBERS)
    await member.settled(publisher)
    expect(member.payloads).toHaveLength(MESSAGES)
    await member.leave()
    await expect.poll(() => keysOfGroup(filter)).toEqual([])
  })

  it('a node whose members all have full windows hands messages on to another node', async () => {
    const topic = unique('t')
    const filter = `$share/g/${topic}`
    const silent = await Member.join(cluster.a, filter, qos, { acknowledges: false })
    await using publisher = await connectAt(cluster.a)
    await publishAll(publisher, topic, qos)
    await drainAll([silent], WINDOW)
    const member = await Member.join(cluster.b, filter, qos)
    await drainAll([silent, member], MESSAGES)
    expect(silent.payloads).toHaveLength(WINDOW)
    await Promise.all([silent.drop(), member.leave()])
  })

  it('all messages that a killed node held arrive at other nodes', async () => {
    const topic = unique('t')
    const filter = `$share/g/${topic}`
    await using doomed = await spawnNode(cluster.settings)
    const silent = await Promise.all(
      [0, 1].map(() => Member.join(doomed, filter, qos, { acknowledges: false })),
    )
    const member = await Member.join(cluster.b, filter, qos)
    await using publisher = await connectAt(cluster.a)
    await publishAll(publisher, topic, qos)
    await drainAll([...silent, member], MESSAGES / 2)
    await doomed.kill('SIGKILL')
    await drainAll([member], MESSAGES)
    expect(payloadsOf([member])).toEqual(NUMBERS)
    await member.leave()
    await expect.poll(() => keysOfGroup(filter)).toEqual([])
  })

  it('all messages that a stopped node held arrive at other nodes', async () => {
    const topic = unique('t')
    const filter = `$share/g/${topic}`
    const stopped = await cluster.join()
    const silent = await Member.join(stopped, filter, qos, { acknowledges: false })
    await using publisher = await connectAt(cluster.a)
    await publishAll(publisher, topic, qos)
    await drainAll([silent], WINDOW)
    const member = await Member.join(cluster.b, filter, qos)
    await stopped[Symbol.asyncDispose]()
    expect(await drainAll([member], MESSAGES)).toEqual(NUMBERS)
    await member.leave()
    await expect.poll(() => keysOfGroup(filter)).toEqual([])
  })

  it('a group whose members are all offline keeps messages until a member is back', async () => {
    const topic = unique('t')
    const filter = `$share/g/${topic}`
    const clientIds = [unique('c'), unique('c')]
    for (const clientId of clientIds) {
      const member = await Member.join(cluster.a, filter, qos, { clientId, clean: false })
      await member.leave()
    }
    await using publisher = await connectAt(cluster.b)
    await publishAll(publisher, topic, qos)
    const [first = '', second = ''] = clientIds
    const member = await Member.resume(cluster.c, first)
    expect(await drainAll([member], MESSAGES)).toEqual(NUMBERS)
    await member.leave()
    // Ends with the last member: one ends its session, the other one unsubscribes.
    await (await connectAt(cluster.a, { clientId: first })).disconnect()
    expect(await keysOfGroup(filter)).not.toEqual([])
    await using last = await connectAt(cluster.b, { clientId: second, clean: false })
    await last.unsubscribe(filter)
    await expect.poll(() => keysOfGroup(filter)).toEqual([])
  })
})

it('a member that stops reading delays no message of the group: the other members get the rest', async () => {
  const topic = unique('t')
  const filter = `$share/g/${topic}`
  const stuck = await Member.join(cluster.a, filter, 1)
  stuck.client.socket.pause()
  const members = await Promise.all([
    Member.join(cluster.a, filter, 1),
    Member.join(cluster.b, filter, 1),
  ])
  await using publisher = await connectAt(cluster.a)
  await publishAll(publisher, topic, 1)
  await drainAll(members, MESSAGES - WINDOW)
  await stuck.drop()
  expect(await drainAll(members, MESSAGES)).toEqual(NUMBERS)
  for (const member of members) await member.leave()
})

it('a shared subscription finishes a QoS 2 exchange that a member has begun when the member resumes its session', async () => {
  const topic = unique('t')
  const clientId = unique('c')
  const filter = `$share/g/${topic}`
  const other = await Member.join(cluster.b, filter, 2)
  {
    await using client = await connectAt(cluster.a, { clientId, clean: false })
    await client.subscribe([filter, 2])
    await using publisher = await connectAt(cluster.a)
    await publisher.publish({ topic, payload: 'begun', qos: 2 })
    const { packetId } = await client.take('publish')
    expect(packetId).toBeGreaterThanOrEqual(57_344)
    await client.drop()
    await drainAll([other], 1)
    expect(other.payloads).toEqual(['begun'])
    await using resumed = await connectAt(cluster.c, { clientId, clean: false })
    expect(await resumed.expect('pubrel')).toMatchObject({ packetId })
  }
  await other.leave()
})

it('each message of a shared subscription reaches one member once while connections to Redis are cut', async () => {
  const topic = unique('t')
  const filter = `$share/g/${topic}`
  const members = await Promise.all(
    [cluster.a, cluster.b, cluster.c].map((node) => Member.join(node, filter, 1)),
  )
  const publishers = await Promise.all([connectAt(cluster.a), connectAt(cluster.b)])
  const rounds = 10
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, publisher] of publishers.entries())
      for (const payload of NUMBERS) {
        const packetId = publisher.nextPacketId()
        publisher.send(
          encodePublish({ topic, payload: `${round}.${index}.${payload}`, qos: 1, packetId }),
        )
      }
    cluster.proxy.cut()
    for (const publisher of publishers) for (const _ of NUMBERS) await publisher.take('puback')
  }
  await drainAll(members, rounds * 2 * MESSAGES)
  for (const member of members) await member.settled(publishers[0])
  const payloads = payloadsOf(members)
  expect(payloads).toHaveLength(rounds * 2 * MESSAGES)
  expect(new Set(payloads).size).toBe(payloads.length)
  for (const client of publishers) await client.disconnect()
  for (const member of members) await member.leave()
  await expect.poll(() => keysOfGroup(filter)).toEqual([])
})

it('a shared subscription loses no message while members come and go at three nodes', async () => {
  const topic = unique('t')
  const filter = `$share/g/${topic}`
  const gone: Member[] = []
  const nodes = [cluster.a, cluster.b, cluster.c]
  const steady = await Member.join(cluster.b, filter, 1)
  let publishing = true
  const churn = nodes.map(async (node) => {
    while (publishing) {
      const member = await Member.join(node, filter, 1)
      gone.push(member)
      await member.drop()
    }
  })
  let rounds = 0
  await using publisher = await connectAt(cluster.a)
  while (rounds < 15 || gone.length < 15) {
    for (const payload of NUMBERS) {
      const packetId = publisher.nextPacketId()
      publisher.send(encodePublish({ topic, payload: `${rounds}.${payload}`, qos: 1, packetId }))
    }
    for (const _ of NUMBERS) await publisher.take('puback')
    rounds += 1
  }
  publishing = false
  await Promise.all(churn)
  const seen = (): number => new Set(payloadsOf([...gone, steady])).size
  await expect.poll(seen).toBe(rounds * MESSAGES)
  await steady.leave()
  await expect.poll(() => keysOfGroup(filter)).toEqual([])
})
