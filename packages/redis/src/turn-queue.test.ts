import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { TurnQueue, type Outcome, type TurnQueueOptions } from './turn-queue.ts'

interface Sent {
  readonly items: readonly string[]
  readonly first: number
  answer(outcomes?: readonly Outcome[]): void
  fail(message: string): void
}

/** The other side, which answers when the test says so. */
class Peer {
  readonly sent: Sent[] = []
  cuts = 0
  #next = Promise.withResolvers<Sent>()

  readonly send = (items: readonly string[], first: number): Promise<readonly Outcome[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Outcome[]>()
    const sent: Sent = {
      items,
      first,
      answer: (outcomes = items.map((item) => ({ result: item }))) => resolve(outcomes),
      fail: (message) => reject(new Error(message)),
    }
    this.sent.push(sent)
    this.#next.resolve(sent)
    return promise
  }

  /** The batch that is sent next. */
  async next(): Promise<Sent> {
    const sent = await this.#next.promise
    this.#next = Promise.withResolvers()
    return sent
  }

  readonly cut = (): void => {
    this.cuts += 1
    this.sent.at(-1)?.fail('cut')
  }
}

interface Setup {
  readonly peer: Peer
  readonly queue: TurnQueue<string>
  readonly faults: Error[]
  /** `name`, `name: error` in the order of the callbacks. */
  readonly done: string[]
  readonly push: (name: string, bytes?: number) => void
}

function setUp(options: Partial<TurnQueueOptions<string>> = {}): Setup {
  const peer = new Peer()
  const faults: Error[] = []
  const done: string[] = []
  const queue = new TurnQueue<string>({
    send: peer.send,
    cut: peer.cut,
    onFault: (error) => faults.push(error),
    timeoutMs: 10_000,
    batchItemsMax: 1_000,
    batchBytesMax: 1_000,
    itemsMax: 1_000,
    bytesMax: 10_000,
    ...options,
  })
  const push = (name: string, bytes = 1): void =>
    queue.push(name, bytes, (error) => {
      done.push(error === undefined ? name : `${name}: ${error.message}`)
    })
  return { peer, queue, faults, done, push }
}

describe('batches of the turn queue', () => {
  it('contain the items of one turn; items pushed meanwhile form the next batch', async () => {
    const { peer, queue, push, done } = setUp()
    push('a')
    push('b')
    const first = await peer.next()
    push('c')
    await turn()
    expect(peer.sent.map(({ items }) => items)).toEqual([['a', 'b']])
    first.answer()
    const second = await peer.next()
    expect(second.items).toEqual(['c'])
    second.answer()
    await queue.settled()
    expect(done).toEqual(['a', 'b', 'c'])
  })

  it('are bounded by items and by bytes, and contain at least one item', async () => {
    const { peer, queue, push } = setUp({ batchItemsMax: 2, batchBytesMax: 10 })
    for (const [name, bytes] of [
      ['a', 1],
      ['b', 1],
      ['c', 6],
      ['d', 5],
      ['e', 99],
      ['f', 1],
    ] as const)
      push(name, bytes)
    const expected = [['a', 'b'], ['c'], ['d'], ['e'], ['f']]
    for (const items of expected) {
      const sent = await peer.next()
      expect(sent.items).toEqual(items)
      sent.answer()
    }
    await queue.settled()
  })

  it('number their items without gaps, with the same numbers when sent again', async () => {
    const { peer, queue, push } = setUp({ batchItemsMax: 2 })
    for (const name of ['a', 'b', 'c']) push(name)
    ;(await peer.next()).fail('lost')
    const again = await peer.next()
    again.answer()
    const rest = await peer.next()
    rest.answer()
    await queue.settled()
    expect(peer.sent.map(({ items, first }) => [...items, first])).toEqual([
      ['a', 'b', 1],
      ['a', 'b', 1],
      ['c', 3],
    ])
  })
})

describe('a failure in the turn queue', () => {
  it('of a whole batch sends the batch again before later items', async () => {
    const { peer, queue, push, done } = setUp()
    push('a')
    push('b')
    const first = await peer.next()
    push('c')
    first.fail('connection lost')
    const second = await peer.next()
    expect(second.items).toEqual(['a', 'b', 'c'])
    expect(done).toEqual([])
    second.answer()
    await queue.settled()
    expect(done).toEqual(['a', 'b', 'c'])
  })

  it('of some items sends those items again; later callbacks wait, and are called once', async () => {
    const { peer, queue, push, done } = setUp()
    for (const name of ['a', 'b', 'c', 'd']) push(name)
    const refused = { again: true, error: new Error('OOM') }
    ;(await peer.next()).answer([{}, refused, {}, refused])
    const second = await peer.next()
    expect(done).toEqual(['a'])
    expect(second.items).toEqual(['b', 'd'])
    second.answer()
    await queue.settled()
    expect(done).toEqual(['a', 'b', 'c', 'd'])
  })

  it('of one item gives that item its own error, and does not send it again', async () => {
    const { peer, queue, push, done } = setUp()
    for (const name of ['a', 'b', 'c']) push(name)
    ;(await peer.next()).answer([{}, { error: new Error('WRONGTYPE') }, {}])
    await queue.settled()
    expect(done).toEqual(['a', 'b: WRONGTYPE', 'c'])
    expect(peer.sent).toHaveLength(1)
  })
})

describe('the time-out of the turn queue', () => {
  it('closes a connection that does not answer, not earlier, and reports the error once', async () => {
    const { peer, queue, push, done } = setUp({ timeoutMs: 300 })
    const start = performance.now()
    push('a')
    await queue.settled()
    expect(performance.now() - start).toBeGreaterThanOrEqual(299)
    expect(done).toEqual(['a: not taken by Redis within 300 ms: cut'])
    // Once for the batch that hung, and where it was sent again just before the end, once for that.
    expect(peer.cuts).toBeGreaterThanOrEqual(1)
    expect(peer.cuts).toBeLessThanOrEqual(2)
  })

  it('applies to each item: later items are sent again', async () => {
    const { peer, queue, push, done } = setUp({ timeoutMs: 500 })
    push('a')
    ;(await peer.next()).fail('lost')
    // The second attempt takes `a` to its end; `b` comes behind it and has time left.
    await peer.next()
    push('b')
    const last = await peer.next()
    expect(last.items).toEqual(['b'])
    last.answer()
    await queue.settled()
    expect(done).toEqual(['a: not taken by Redis within 500 ms: cut', 'b'])
  })

  it('does not fail an executed item that waits for an earlier item', async () => {
    const { peer, queue, push, done } = setUp({ timeoutMs: 300 })
    push('a')
    push('b')
    ;(await peer.next()).answer([{ again: true, error: new Error('OOM') }, {}])
    await queue.settled()
    expect(done).toEqual(['a: not taken by Redis within 300 ms: cut', 'b'])
  })
})

describe('the bounds of the turn queue', () => {
  it('refuse items beyond the bound at once, by number', async () => {
    const { peer, queue, push, done } = setUp({ itemsMax: 2 })
    for (const name of ['a', 'b', 'c']) push(name)
    expect(done).toEqual(['c: full: 2 items wait for Redis'])
    ;(await peer.next()).answer()
    await queue.settled()
    push('d')
    ;(await peer.next()).answer()
    await queue.settled()
    expect(done.slice(1)).toEqual(['a', 'b', 'd'])
  })

  it('refuse items beyond the bound at once, by bytes, but never a single item', async () => {
    const { peer, queue, push, done } = setUp({ bytesMax: 10 })
    push('large', 11)
    push('b', 1)
    expect(done).toEqual(['b: full: 11 bytes wait for Redis'])
    ;(await peer.next()).answer()
    await queue.settled()
    push('c', 10)
    ;(await peer.next()).answer()
    await queue.settled()
    expect(done.slice(1)).toEqual(['large', 'c'])
  })
})

describe('several turn queues that share a load', () => {
  it('refuse items beyond their common bound, and accept more when an item completes', async () => {
    const load = { items: 0, bytes: 0 }
    const bounds = { load, itemsMax: 2, bytesMax: 10 }
    const [one, other] = [setUp(bounds), setUp(bounds)]
    one.push('a', 4)
    other.push('b', 4)
    other.push('c', 1)
    expect(other.done).toEqual(['c: full: 2 items wait for Redis'])
    ;(await one.peer.next()).answer()
    await one.queue.settled()
    const first = await other.peer.next()
    other.push('d', 7)
    expect(other.done.at(-1)).toBe('d: full: 4 bytes wait for Redis')
    other.push('e', 6)
    first.answer()
    ;(await other.peer.next()).answer()
    await other.queue.settled()
    expect([one.done, other.done.slice(2), load]).toEqual([
      ['a'],
      ['b', 'e'],
      { items: 0, bytes: 0 },
    ])
  })
})

describe('callbacks of the turn queue', () => {
  it('that throw are reported as faults, and other callbacks are still called', async () => {
    const { peer, queue, push, faults, done } = setUp()
    queue.push('a', 1, () => {
      throw new Error('bug')
    })
    push('b')
    ;(await peer.next()).answer()
    await queue.settled()
    expect(faults.map(({ message }) => message)).toEqual(['bug'])
    expect(done).toEqual(['b'])
  })

  it('may push further items', async () => {
    const { peer, queue, push, done } = setUp()
    queue.push('a', 1, () => push('b'))
    ;(await peer.next()).answer()
    ;(await peer.next()).answer()
    await queue.settled()
    expect(done).toEqual(['b'])
  })

  it('are called once each and in order, whatever the server does', async () => {
    const { peer, queue, push, done } = setUp({ batchItemsMax: 7, itemsMax: 3_000 })
    const names = Array.from({ length: 3_000 }, (_, index) => `${index}`)
    let seed = 1
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    const fates = { lost: 0, refused: 0 }
    const answering = (async () => {
      while (done.length < names.length) {
        const sent = await peer.next()
        const fate = random()
        if (fate < 0.005) {
          fates.lost += 1
          sent.fail('lost')
        } else if (fate < 0.01) {
          fates.refused += 1
          sent.answer(
            sent.items.map(() => (random() < 0.5 ? {} : { again: true, error: new Error('x') })),
          )
        } else sent.answer()
        await turn()
      }
    })()
    for (const [index, name] of names.entries()) {
      push(name)
      if (index === names.length / 2) await turn()
    }
    await queue.settled()
    await answering
    expect(done).toEqual(names)
    expect(fates.lost).toBeGreaterThan(0)
    expect(fates.refused).toBeGreaterThan(0)
  })
})

describe('settled() of the turn queue', () => {
  it('waits for items pushed earlier, not for later items', async () => {
    const { peer, queue, push, done } = setUp()
    await queue.settled()
    push('a')
    const settled = queue.settled()
    const first = await peer.next()
    push('b')
    first.answer()
    await settled
    expect(done).toEqual(['a'])
    ;(await peer.next()).answer()
    await queue.settled()
  })

  it('resolves also after the time-out and after closing', async () => {
    const { queue, push } = setUp()
    push('a')
    const settled = queue.settled()
    queue.close()
    await settled
    await queue.settled()
    expect(queue.size).toBe(0)
  })
})

describe('a closed turn queue', () => {
  it('gives an error to all pending items, and accepts and sends nothing more', async () => {
    const { peer, queue, push, done } = setUp()
    push('a')
    const first = await peer.next()
    push('b')
    queue.close()
    push('c')
    const closed = ['a', 'b', 'c'].map(
      (name) => `${name}: closed: nothing is sent to Redis any more`,
    )
    expect(done).toEqual(closed)
    // The answer of what was under way comes too late to be told.
    first.answer()
    await turn()
    expect(done).toEqual(closed)
    expect(peer.sent).toHaveLength(1)
  })
})
