/**
 * What every bus must do, whatever it is made of: the suite that belongs to the contract in bus.ts. It is run
 * by test/bus; `describe` and `test` come from there, so that nothing here needs a test runner.
 */
import assert from 'node:assert/strict'
import type { Bus, Notice } from './bus.ts'
import { Message, type QoS } from './message.ts'

/** Of the test runner. */
export interface Suite {
  readonly describe: (name: string, body: () => void) => void
  readonly test: (name: string, body: () => Promise<void>) => void
}

/** Nodes that reach each other and nobody else. */
export interface BusUnderTest extends AsyncDisposable {
  join(): Promise<Bus>
}

export type OpenBus = () => Promise<BusUnderTest>

const MANY = 3_000
const FENCE = 'fence'

export function busCompliance({ describe, test }: Suite, open: OpenBus): void {
  describe('messages', () => {
    test('come to every other node, once, in the order of their publisher, and never to itself', async () => {
      await using under = await open()
      const nodes = await joinAll(under, 3)
      const names = Array.from({ length: MANY }, (_, index) => index)
      await Promise.all(
        nodes.flatMap(({ bus }, sender) =>
          names.map((index) => published(bus, message(`${sender}`, `${index}`))),
        ),
      )
      await fence(nodes)
      for (const [receiver, { messages }] of nodes.entries())
        for (const sender of nodes.keys()) {
          const heard = messages.filter(({ topic }) => topic === `${sender}`)
          assert.deepEqual(
            heard.map(({ payload }) => Number(payload.toString())),
            sender === receiver ? [] : names,
          )
        }
    })

    test('keep topic, payload, QoS and retain, whatever they hold', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
      const sent: Message[] = [
        new Message('__proto__', Buffer.alloc(0), 0, false),
        new Message('é/😀/', bytes, 1, true),
        new Message('x'.repeat(65_535), bytes, 2, true),
        new Message('/', bytes, 2, false),
      ]
      await Promise.all(sent.map((item) => published(a.bus, item)))
      await fence([a, b])
      assert.deepEqual(b.messages.map(plain), sent.map(plain))
    })

    test('may be large, and many of them together', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      // More than Redis, as it is delivered, holds for a subscriber at a time.
      const sizes = [0, 1, 65_536, 4_194_304, ...Array.from({ length: 150 }, () => 262_144)]
      const sent = sizes.map((size, index) => message(`${index}`, Buffer.alloc(size, `${index}`)))
      await Promise.all(sent.map((item) => published(a.bus, item)))
      await fence([a, b])
      assert.equal(b.messages.length, sent.length)
      for (const [index, { topic, payload }] of b.messages.entries()) {
        assert.equal(topic, `${index}`)
        assert.equal(Buffer.compare(payload, sent[index]?.payload ?? Buffer.alloc(0)), 0)
      }
    })

    test('of one turn are taken in order, and `done` comes once for each', async () => {
      await using under = await open()
      const [a] = await joinAll(under, 2)
      const done: number[] = []
      await new Promise<void>((resolve) => {
        for (let index = 0; index < MANY; index += 1)
          a?.bus.publish(message('t'), () => {
            if (done.push(index) === MANY) resolve()
          })
      })
      assert.deepEqual(done, [...done.keys()])
    })

    test('do not come to a node that has left, and the others go on', async () => {
      await using under = await open()
      const [a, b, c] = (await joinAll(under, 3)) as [Node, Node, Node]
      await b.bus[Symbol.asyncDispose]()
      await published(a.bus, message('t', 'after'))
      await fence([a, c])
      assert.deepEqual(b.messages, [])
      assert.equal(c.messages.length, 1)
    })
  })

  describe('notices', () => {
    test('come to every other node with what they say, in order, and never to itself', async () => {
      await using under = await open()
      const nodes = await joinAll(under, 3)
      const sent: Notice[] = [
        { kind: 'taken-over', clientId: '__proto__', epoch: Number.MAX_SAFE_INTEGER },
        {
          kind: 'filters',
          clientId: '😀"\\\n',
          changes: [
            ['a/+/#', 2],
            ['"', -1],
          ],
        },
        { kind: 'filters', clientId: 'x'.repeat(65_535), changes: [] },
        ...Array.from({ length: 1_500 }, (_, epoch): Notice => ({
          kind: 'taken-over',
          clientId: 'c',
          epoch,
        })),
      ]
      const [first, ...others] = nodes as [Node, ...Node[]]
      await Promise.all(sent.map((notice) => first.bus.notify(notice)))
      await fence(nodes)
      assert.deepEqual(first.notices, [])
      for (const { notices } of others) assert.deepEqual(notices, sent)
    })
  })

  describe('a node', () => {
    test('has an id of its own at each start', async () => {
      await using under = await open()
      const nodes = await joinAll(under, 3)
      assert.equal(new Set(nodes.map(({ bus: { nodeId } }) => nodeId)).size, 3)
    })

    test('knows that there can be others', async () => {
      await using under = await open()
      for (const { bus } of await joinAll(under, 2)) assert.equal(bus.clustered, true)
    })

    test('that has left sends nothing more, says so, and may leave again', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      await a.bus[Symbol.asyncDispose]()
      await a.bus[Symbol.asyncDispose]()
      await assert.rejects(published(a.bus, message('t')), /closed/)
      const notice: Notice = { kind: 'taken-over', clientId: 'c', epoch: 1 }
      await assert.rejects(a.bus.notify(notice), /closed/)
      assert.deepEqual([b.messages, b.notices], [[], []])
    })

    test('that leaves gives each message its `done`, and takes along what was on its way', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      const outcomes = Promise.all(
        Array.from({ length: 100 }, (_, index) => published(a.bus, message('t', `${index}`))),
      )
      await a.bus[Symbol.asyncDispose]()
      await outcomes
      await arrival(b, 100)
      assert.equal(b.messages.length, 100)
    })

    test('that has no handlers yet takes no harm', async () => {
      await using under = await open()
      const [a, deaf] = [await under.join(), await under.join()]
      await published(a, message('t', 'not heard'))
      await a.notify({ kind: 'taken-over', clientId: 'c', epoch: 1 })
      const nodes = [listen(a), listen(deaf)]
      await published(a, message('t', 'heard'))
      await fence(nodes)
      assert.equal(nodes[1]?.messages.at(-1)?.payload.toString(), 'heard')
    })
  })
}

interface Node {
  readonly bus: Bus
  readonly messages: Message[]
  readonly notices: Notice[]
  /** Which nodes this one has heard a fence of. */
  readonly fences: Set<string>
  heard: () => void
}

async function joinAll(under: BusUnderTest, count: number): Promise<Node[]> {
  return (await Promise.all(Array.from({ length: count }, () => under.join()))).map(listen)
}

function listen(bus: Bus): Node {
  const node: Node = {
    bus,
    messages: [],
    notices: [],
    fences: new Set(),
    heard: () => undefined,
  }
  bus.onMessage((item) => {
    if (item.topic === FENCE) node.fences.add(`message ${item.payload.toString()}`)
    else node.messages.push(item)
    node.heard()
  })
  bus.onNotice((notice) => {
    if (notice.kind === 'taken-over' && notice.epoch === -1)
      node.fences.add(`notice ${notice.clientId}`)
    else node.notices.push(notice)
    node.heard()
  })
  return node
}

/** Everything that each of the nodes said before has come to the others. */
async function fence(nodes: readonly Node[]): Promise<void> {
  const expected = (node: Node): number => (nodes.includes(node) ? (nodes.length - 1) * 2 : 0)
  const all = nodes.map(
    (node) =>
      new Promise<void>((resolve) => {
        node.heard = () => {
          if (node.fences.size === expected(node)) resolve()
        }
      }),
  )
  for (const { bus } of nodes) {
    await published(bus, message(FENCE, bus.nodeId))
    await bus.notify({ kind: 'taken-over', clientId: bus.nodeId, epoch: -1 })
  }
  await Promise.all(all)
  for (const node of nodes) node.fences.clear()
}

async function arrival(node: Node, count: number): Promise<void> {
  await new Promise<void>((resolve) => {
    node.heard = () => {
      if (node.messages.length >= count) resolve()
    }
    node.heard()
  })
}

/** @throws {Error} what `done` was given; a second `done` is a fault of its own */
function published(bus: Bus, item: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    let calls = 0
    bus.publish(item, (error) => {
      calls += 1
      if (calls > 1) throw new Error('`done` came twice')
      if (error === undefined) resolve()
      else reject(error)
    })
  })
}

function message(topic: string, payload: string | Buffer = '', qos: QoS = 1): Message {
  return new Message(topic, Buffer.from(payload), qos, false)
}

function plain({ topic, payload, qos, retain }: Message): unknown {
  return { topic, payload: payload.toString('hex'), qos, retain }
}
