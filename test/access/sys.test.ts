/** `$SYS` topics as clients see them: what nodes publish, which clients may read it, and that no client can publish it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { expect, test } from 'vitest'
import { connectAt, startCluster } from '../cluster/cluster.ts'
import { keysOf } from '../cluster/redis-keys.ts'
import { startProgram } from '../clients/program-run.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { tableRows } from '../tidy/markdown-table.ts'

const WAIT = { timeout: 30_000 }
const ROOT = '$SYS/broker/'
const OFTEN = { environment: { BREAKWATER_SYS_INTERVAL: '1s' } }
/** The documented names: of the node itself, then of what all would say alike. */
const documented = tableRows('SYS.md')
  .slice(1)
  .map(([name = '']) => name.slice(1, -1))
const OF_NODE = documented.slice(0, 11)
const PLAIN = documented.filter((name) => !name.includes('<'))

interface Reader extends AsyncDisposable {
  readonly client: MqttClient
  /** `retained name`, or `live name`, with what it said last. */
  readonly said: Map<string, string>
}

async function read(node: TestNode, ...filters: string[]): Promise<Reader> {
  const client = await connectAsync(`mqtt://${node.host}:${node.port}`, { reconnectPeriod: 0 })
  const said = new Map<string, string>()
  client.on('message', (topic, payload, { retain }) => {
    const name = topic.startsWith(ROOT) ? topic.slice(ROOT.length) : `?${topic}`
    said.set(`${retain ? 'retained' : 'live'} ${name}`, payload.toString())
  })
  await client.subscribeAsync(filters)
  return { client, said, [Symbol.asyncDispose]: () => client.endAsync(true) }
}

function names(said: ReadonlyMap<string, string>, how: 'retained' | 'live'): string[] {
  const start = `${how} `
  const found = [...said.keys()].filter((key) => key.startsWith(start))
  return found.map((key) => key.slice(start.length)).sort()
}

test('a node publishes the $SYS topics that docs/SYS.md lists, retained to a new subscriber and then live', async () => {
  await using node = await startNode(OFTEN)
  await using reader = await read(node, '$SYS/#')
  const state = `nodes/${node.id}/state`
  const own = OF_NODE.map((name) => `nodes/${node.id}/${name}`)
  const all = [...PLAIN, ...own, state].sort()
  await expect.poll(() => names(reader.said, 'retained'), WAIT).toEqual(all)
  await using other = await connectAt(node)
  await other.publish({ topic: 'x', payload: 'twelve bytes', qos: 1, retain: true })
  const live = (name: string): string | undefined => reader.said.get(`live ${name}`)
  await expect.poll(() => live('clients/connected'), WAIT).toBe('2')
  await expect.poll(() => live('publish/messages/received'), WAIT).toBe('1')
  await expect.poll(() => live('retained messages/count'), WAIT).toBe('1')
  await expect.poll(() => live(state), WAIT).toBe('up')
  expect(names(reader.said, 'live')).toEqual(all)
  expect(live('version')).toMatch(/^breakwater version \d+\.\d+\.\d+$/)
  expect(live('uptime')).toMatch(/^\d+ seconds$/)
  expect(live('node')).toBe(node.id)
  expect(live('nodes/count')).toBe('1')
  expect(live('subscriptions/count')).toBe('1')
  for (const name of ['messages/received', 'messages/sent', 'bytes/received', 'bytes/sent'])
    expect(Number(live(name)), name).toBeGreaterThan(3)
})

test('neither a leading wildcard nor a message of a client reaches $SYS topics', async () => {
  await using node = await startNode(OFTEN)
  await using wide = await read(node, '#', '+/broker/uptime', '+/#', '$share/g/$SYS/#')
  await using narrow = await read(node, '$SYS/broker/uptime')
  for (const qos of [0, 1, 2] as const)
    await wide.client.publishAsync('$SYS/broker/uptime', 'fake', { qos, retain: true })
  narrow.said.clear()
  await expect.poll(() => narrow.said.get('live uptime'), WAIT).toMatch(/^\d+ seconds$/)
  // What came to the one would have come to the other before this.
  await narrow.client.publishAsync('fence', 'x', { qos: 1 })
  await expect.poll(() => wide.said.get('live ?fence'), WAIT).toBe('x')
  expect([...wide.said.keys()]).toEqual(['live ?fence'])
  await using later = await read(node, '$SYS/broker/+')
  await expect.poll(() => later.said.get('retained uptime'), WAIT).toMatch(/^\d+ seconds$/)
})

test('with an interval of 0s the node publishes no $SYS topics', async () => {
  await using node = await startNode({ environment: { BREAKWATER_SYS_INTERVAL: '0s' } })
  await using client = await connectAt(node)
  await client.subscribe(['$SYS/#', 0])
  await client.subscribe(['x', 0])
  await client.publish({ topic: 'x', payload: 'fence', qos: 1, retain: true })
  expect((await client.receive(1))[0]?.topic).toBe('x')
})

test('with access rules, a client may read $SYS topics only by a rule that names them', async () => {
  const file = join(temporaryDirectory('acl-'), 'acl.yaml')
  writeFileSync(
    file,
    `
default: allow
rules:
  - { clients: ['ops-*'], allow: [subscribe], topics: ['$SYS/#'] }
  - { allow: [publish, subscribe], topics: ['#'] }
`,
  )
  await using node = await startNode({ environment: { BREAKWATER_ACL_FILE: file } })
  await using device = await connectAt(node, { clientId: 'device' })
  for (const filter of [
    '$SYS/#',
    '$SYS/broker/version',
    '$share/g/$SYS/#',
    '$SYS/broker/nodes/+/uptime',
  ])
    expect(await device.subscribe([filter, 0]), filter).toEqual([0x80])
  expect(await device.subscribe(['#', 0])).toEqual([0])
  await using operator = await connectAt(node, { clientId: 'ops-1' })
  expect(await operator.subscribe(['$SYS/broker/version', 1])).toEqual([1])
  expect((await operator.receive(1))[0]).toMatchObject({ qos: 0, retain: true })
})

test('the $SYS topics of every node can be read at each node; without a reader they stay in the node', async () => {
  await using cluster = await startCluster(OFTEN)
  const { a, b, c } = cluster
  await using stack = new AsyncDisposableStack()
  for (const node of [a, b, c]) {
    const reader = stack.use(await read(node, '$SYS/broker/uptime', '$SYS/broker/node'))
    await expect.poll(() => reader.said.get('live node'), WAIT).toBe(node.id)
    const uptime = reader.said.get('live uptime')
    await expect.poll(() => reader.said.get('live uptime'), WAIT).not.toBe(uptime)
  }
  for (const node of [a, b, c])
    expect((await MetricsPage.of(node)).value('breakwater_bus_messages_total')).toBe(0)
  expect((await keysOf(cluster.redis)).filter((key) => key.includes('SYS'))).toEqual([])

  const leaving = await cluster.join()
  await using reader = await read(a, '$SYS/broker/nodes/#')
  const ids = [a, b, c, leaving].map(({ id }) => id)
  const leaves = ids.flatMap((id) => [...OF_NODE, 'state'].map((name) => `nodes/${id}/${name}`))
  await expect
    .poll(() => names(reader.said, 'live'), WAIT)
    .toEqual([...leaves, 'nodes/count'].sort())
  await expect.poll(() => reader.said.get('live nodes/count'), WAIT).toBe('4')
  await using elsewhere = await read(b, '$SYS/broker/nodes/#')
  await expect.poll(() => elsewhere.said.get('live nodes/count'), WAIT).toBe('4')
  await leaving[Symbol.asyncDispose]()
  for (const { said } of [reader, elsewhere]) {
    await expect.poll(() => said.get(`live nodes/${leaving.id}/state`), WAIT).toBe('down')
    await expect.poll(() => said.get('live nodes/count'), WAIT).toBe('3')
  }
  await using later = await read(b, '$SYS/broker/nodes/+/state')
  const living = [a, b, c].map(({ id }) => `nodes/${id}/state`).sort()
  await expect.poll(() => names(later.said, 'retained'), WAIT).toEqual(living)
})

test('mosquitto_sub shows the $SYS topics', async (context) => {
  const [subscribe] = skipWithout(context, 'mosquitto_sub')
  await using node = await startNode()
  const to = ['-h', node.host, '-p', `${node.port}`, '-V', '311', '-C', '1']
  const asked = ['-t', '$SYS/broker/version', '-F', '%r %t %p']
  await using run = startProgram([subscribe], [...to, ...asked], { timeoutMs: 30_000 })
  expect(await run.said('version')).toMatch(/^1 \$SYS\/broker\/version breakwater version \d/)
})
