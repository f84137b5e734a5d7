/**
 * What every bus must do, whatever it is made of: the suite that belongs to the contract in bus.ts. It is run
 * by test/bus; `describe` and `test` come from there, so that nothing here needs a test runner.
 */
import assert from 'node:assert/strict'
import type { Notice } from './bus.ts'
import type { BusUnderTest } from './bus-under-test.ts'
import {
  arrival,
  fence,
  FENCE,
  joinAll,
  listen,
  message,
  othersOf,
  payloads,
  plain,
  published,
  type Node,
} from './compliance-nodes.ts'
import { Message } from './message.ts'

/** Of the test runner. */
export interface Suite {
  readonly describe: (name: string, body: () => void) => void
  readonly test: (name: string, body: () => Promise<void>) => void
}

export type OpenBus = () => Promise<BusUnderTest>

const MANY = 3_000

export function busCompliance({ describe, test }: Suite, open: OpenBus): void {
  describe('bus messages', () => {
    test('arrive at every target once, in the order of their publisher', async () => {
      await using under = await open()
      const nodes = await joinAll(under, 3)
      const names = Array.from({ length: MANY }, (_, index) => index)
      await Promise.all(
        nodes.flatMap((node, sender) =>
          names.map((index) =>
            published(node.bus, message(`${sender}`, `${index}`), othersOf(node, nodes)),
          ),
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

    test('that are posted keep their order, also among published messages', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 3)) as [Node, Node, Node]
      const [a, b, c] = nodes
      const toBoth = [b.bus.nodeId, c.bus.nodeId]
      const toB = [b.bus.nodeId]
      const lost = (): void => assert.fail('none is lost')
      const names = Array.from({ length: MANY }, (_, index) => `${index}`)
      const done = names.flatMap((name, index) => {
        const targets = index % 7 < 5 ? toBoth : toB
        // The buffer is used again at once.
        const payload = Buffer.from(name)
        if (index % 11 === 0) return [published(a.bus, message('t', name), targets)]
        a.bus.post(message('t', payload), targets, lost)
        payload.fill('-')
        return []
      })
      await Promise.all(done)
      await fence(nodes)
      assert.deepEqual(payloads(b), names)
      assert.deepEqual(
        payloads(c),
        names.filter((_, index) => index % 7 < 5),
      )
    })

    test('beyond the bound are refused by post(), which reports when there is room again', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 2)) as [Node, Node]
      const [a, b] = nodes
      const targets = [b.bus.nodeId]
      let posted = 0
      while (!a.bus.congested && posted < 10_000) {
        posted += 1
        a.bus.post(message('t', `${posted}`), targets, () => assert.fail('none is lost'))
      }
      await new Promise<void>((resolve) => a.bus.whenClear(resolve))
      assert.equal(a.bus.congested, false)
      await fence(nodes)
      assert.equal(b.messages.length, posted)
    })

    test('arrive only at their targets', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 3)) as [Node, Node, Node]
      const [a, b, c] = nodes
      const [toB, toC] = [b.bus.nodeId, c.bus.nodeId]
      await Promise.all([
        published(a.bus, message('t', 'nobody'), []),
        published(a.bus, message('t', 'b'), [toB]),
        published(a.bus, message('t', 'c'), [toC]),
        published(a.bus, message('t', 'both'), [toC, toB]),
        published(a.bus, message('t', 'b again'), [toB]),
      ])
      await fence(nodes)
      assert.deepEqual(nodes.map(payloads), [[], ['b', 'both', 'b again'], ['c', 'both']])
    })

    test('to a node that never existed delay no other message', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 2)) as [Node, Node]
      const [a, b] = nodes
      await published(a.bus, message('t', '1'), ['no such node'])
      await published(a.bus, message('t', '2'), ['no such node', b.bus.nodeId])
      await fence(nodes)
      assert.deepEqual(payloads(b), ['2'])
    })

    test('keep any topic, payload, QoS, retain flag, properties and expiry', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 2)) as [Node, Node]
      const [a, b] = nodes
      const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
      const sent: Message[] = [
        new Message('__proto__', Buffer.alloc(0), 0, false),
        new Message('é/😀/', bytes, 1, true),
        new Message('x'.repeat(65_535), bytes, 2, true),
        new Message('/', bytes, 2, false),
        new Message('properties', bytes, 0, true, undefined, bytes),
        new Message('expiry', bytes, 1, false, undefined, undefined, 2 ** 48 - 1),
        new Message('both', bytes, 2, false, undefined, bytes, 0),
      ]
      await Promise.all(sent.map((item) => published(a.bus, item, [b.bus.nodeId])))
      await fence(nodes)
      assert.deepEqual(b.messages.map(plain), sent.map(plain))
    })

    test('may be large, and many large messages may be sent together', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 2)) as [Node, Node]
      const [a, b] = nodes
      const sizes = [0, 1, 65_536, 4_194_304, ...Array.from({ length: 150 }, () => 262_144)]
      const sent = sizes.map((size, index) => message(`${index}`, Buffer.alloc(size, `${index}`)))
      await Promise.all(sent.map((item) => published(a.bus, item, [b.bus.nodeId])))
      await fence(nodes)
      assert.equal(b.messages.length, sent.length)
      for (const [index, { topic, payload }] of b.messages.entries()) {
        assert.equal(topic, `${index}`)
        assert.equal(Buffer.compare(payload, sent[index]?.payload ?? Buffer.alloc(0)), 0)
      }
    })

    test('of one turn are accepted in order, for any targets, and `done` is called once for each', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      const targets = [[b.bus.nodeId], [], ['no such node']]
      const done: number[] = []
      await new Promise<void>((resolve) => {
        for (let index = 0; index < MANY; index += 1)
          a.bus.publish(message('t'), targets[index % targets.length] ?? [], () => {
            if (done.push(index) === MANY) resolve()
          })
      })
      assert.deepEqual(done, [...done.keys()])
    })

    test('do not arrive at a node that has left, and other nodes still receive them', async () => {
      await using under = await open()
      const [a, b, c] = (await joinAll(under, 3)) as [Node, Node, Node]
      await b.bus[Symbol.asyncDispose]()
      await published(a.bus, message('t', 'after'), othersOf(a, [b, c]))
      await fence([a, c])
      assert.deepEqual([payloads(b), payloads(c)], [[], ['after']])
    })
  })

  describe('bus signals', () => {
    test('arrive with the id of their sender, in order with its messages', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 3)) as [Node, Node, Node]
      const [a, b, c] = nodes
      const heard: (string | number)[] = []
      b.bus.onMessage(({ topic, payload }) => {
        if (topic !== FENCE) heard.push(payload.toString())
        else b.fences.add(`message ${payload.toString()}`)
        b.heard()
      })
      b.bus.onSignal((from, signal) => {
        assert.equal(from, a.bus.nodeId)
        heard.push(signal.kind === 'confirmed' ? signal.version : signal.filter)
      })
      for (const version of [1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
        const before = published(a.bus, message('t', `before ${version}`), [b.bus.nodeId])
        a.bus.tell(b.bus.nodeId, { kind: 'confirmed', version })
        a.bus.tell('no such node', { kind: 'confirmed', version })
        await Promise.all([
          before,
          published(a.bus, message('t', `after ${version}`), [b.bus.nodeId]),
        ])
      }
      await fence(nodes)
      assert.deepEqual(
        heard,
        [1, 2 ** 40, Number.MAX_SAFE_INTEGER].flatMap((version) => [
          `before ${version}`,
          version,
          `after ${version}`,
        ]),
      )
      assert.deepEqual(c.signals, [])
    })

    test('of one turn arrive with the newest at the end', async () => {
      await using under = await open()
      const nodes = (await joinAll(under, 2)) as [Node, Node]
      const [a, b] = nodes
      for (let version = 1; version <= 100; version += 1)
        a.bus.tell(b.bus.nodeId, { kind: 'confirmed', version })
      await fence(nodes)
      assert.deepEqual(b.signals.at(-1), [a.bus.nodeId, { kind: 'confirmed', version: 100 }])
    })
  })

  describe('bus notices', () => {
    test('arrive complete and in order at the node that they name, and at no other', async () => {
      await using under = await open()
      const nodes = await joinAll(under, 3)
      const sent: Notice[] = [
        { kind: 'taken-over', clientId: '__proto__', epoch: Number.MAX_SAFE_INTEGER },
        { kind: 'let-go', clientId: '😀"\\\n', epoch: 0 },
        { kind: 'taken-over', clientId: 'x'.repeat(65_535), epoch: 1 },
        { kind: 'kicked', clientId: 'c', epoch: 2 },
        { kind: 'revocation', previous: 1, version: 2, id: 'serial:A', text: '{"é":1}' },
        { kind: 'revocation', previous: 2, version: 3, id: 'serial:A' },
        ...Array.from({ length: 1_500 }, (_, epoch): Notice => ({
          kind: 'taken-over',
          clientId: 'c',
          epoch,
        })),
      ]
      const [first, second, third] = nodes as [Node, Node, Node]
      const told = sent.map((notice) => first.bus.notify(second.bus.nodeId, notice))
      assert.deepEqual(new Set(await Promise.all(told)), new Set([true]))
      await fence(nodes)
      assert.deepEqual([first.notices, third.notices], [[], []])
      assert.deepEqual(second.notices, sent)
    })

    test('to a node that has left or never existed report that nobody received them', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      const notice: Notice = { kind: 'taken-over', clientId: 'c', epoch: 1 }
      assert.equal(await a.bus.notify(b.bus.nodeId, notice), true)
      await b.bus[Symbol.asyncDispose]()
      assert.equal(await a.bus.notify(b.bus.nodeId, notice), false)
      assert.equal(await a.bus.notify('nobody', notice), false)
    })
  })

  describe('a node on the bus', () => {
    test('has a new id at each start', async () => {
      await using under = await open()
      const nodes = await joinAll(under, 3)
      assert.equal(new Set(nodes.map(({ bus: { nodeId } }) => nodeId)).size, 3)
    })

    test('reports that other nodes can exist', async () => {
      await using under = await open()
      for (const { bus } of await joinAll(under, 2)) assert.equal(bus.clustered, true)
    })

    test('that has left sends nothing more, reports that as an error, and may leave again', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      await a.bus[Symbol.asyncDispose]()
      await a.bus[Symbol.asyncDispose]()
      for (const targets of [[b.bus.nodeId], []])
        await assert.rejects(published(a.bus, message('t'), targets), /closed/)
      a.bus.tell(b.bus.nodeId, { kind: 'confirmed', version: 1 })
      const notice: Notice = { kind: 'taken-over', clientId: 'c', epoch: 1 }
      await assert.rejects(a.bus.notify(b.bus.nodeId, notice), /closed/)
      assert.deepEqual([b.messages, b.signals, b.notices], [[], [], []])
    })

    test('that leaves calls `done` for each message, and completes messages in transit', async () => {
      await using under = await open()
      const [a, b] = (await joinAll(under, 2)) as [Node, Node]
      const outcomes = Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          published(a.bus, message('t', `${index}`), [b.bus.nodeId]),
        ),
      )
      await a.bus[Symbol.asyncDispose]()
      await outcomes
      await arrival(b, 100)
      assert.equal(b.messages.length, 100)
    })

    test('without handlers receives messages without a fault', async () => {
      await using under = await open()
      const [a, deaf] = [await under.join(), await under.join()]
      await published(a, message('t', 'not heard'), [deaf.nodeId])
      a.tell(deaf.nodeId, { kind: 'confirmed', version: 1 })
      await a.notify(deaf.nodeId, { kind: 'taken-over', clientId: 'c', epoch: 1 })
      const nodes = [listen(a), listen(deaf)]
      await published(a, message('t', 'heard'), [deaf.nodeId])
      await fence(nodes)
      assert.equal(nodes[1]?.messages.at(-1)?.payload.toString(), 'heard')
    })
  })
}
