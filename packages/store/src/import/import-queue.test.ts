import { Message } from '@breakwater/bus'
import { describe, expect, it } from 'vitest'
import { ImportQueue } from './import-queue.ts'
import { packetIdOf, type QueueBounds } from '../store.ts'

const bounds: QueueBounds = { queueMessagesMax: 3, queueBytesMax: 1_000 }

function filled(
  changes: Partial<QueueBounds>,
  entries: readonly (readonly [payload: string, packetId?: number])[],
): { queue: ImportQueue; positions: (number | undefined)[] } {
  const queue = new ImportQueue({ ...bounds, ...changes })
  const positions = entries.map(([payload, packetId]) => {
    const message = new Message('t', Buffer.from(payload), 1, false)
    return queue.add(message, packetId)?.position
  })
  return { queue, positions }
}

describe('the queue of an imported session', () => {
  it('numbers its messages from 1, with none marked as sent', () => {
    const { queue, positions } = filled({}, [['a'], ['b']])
    expect(positions).toEqual([1, 2])
    expect(queue).toMatchObject({ count: 2, bytes: 20, last: 2, sent: 0, lowest: 1, dropped: 0 })
  })

  it('keeps the packet ids of sent messages, in order', () => {
    const { queue, positions } = filled({}, [
      ['a', 40_000],
      ['b', 57_343],
      ['c', 1],
    ])
    expect(positions).toEqual([40_000, 57_343, 57_344])
    expect(positions.map((position) => packetIdOf(position ?? 0))).toEqual([40_000, 57_343, 1])
    expect(queue).toMatchObject({ count: 3, last: 57_344, sent: 57_344, renumbered: 0 })
  })

  it('wraps its positions around when packet ids fall, and continues from there', () => {
    const { positions } = filled({}, [['a', 9], ['b', 5], ['c']])
    expect(positions).toEqual([9, 57_343 + 5, 57_343 + 6])
  })

  it('assigns a new packet id to a message with a packet id of the shared-subscription range', () => {
    const { queue, positions } = filled({}, [
      ['a', 57_344],
      ['b', 2],
    ])
    expect(positions).toEqual([1, 2])
    expect(queue).toMatchObject({ renumbered: 1, sent: 2 })
  })

  it('drops its oldest messages, by count and by bytes', () => {
    const { queue } = filled({}, [['a'], ['b'], ['c'], ['d'], ['e']])
    expect(queue).toMatchObject({ count: 3, lowest: 3, last: 5, dropped: 2, bytes: 30 })
    const { queue: small } = filled({ queueBytesMax: 25 }, [['a'], ['b'], ['c']])
    expect(small).toMatchObject({ count: 2, lowest: 2, bytes: 20, dropped: 1 })
    const { queue: one } = filled({ queueBytesMax: 5 }, [['a'], ['b']])
    expect(one).toMatchObject({ count: 1, lowest: 2, dropped: 1 })
  })

  it.each(['drop-newest', 'close-publisher'] as const)(
    'keeps its oldest messages with %s',
    (queuePolicy) => {
      const { queue, positions } = filled({ queuePolicy }, [['a'], ['b'], ['c'], ['d'], ['e']])
      expect(positions).toEqual([1, 2, 3, undefined, undefined])
      expect(queue).toMatchObject({ count: 3, lowest: 1, last: 3, dropped: 2 })
      // Also where one would fit behind one that did not.
      const large: [string] = ['x'.repeat(1_000)]
      const { queue: gap } = filled({ queuePolicy, queueBytesMax: 100 }, [['a'], large, ['c']])
      expect(gap).toMatchObject({ count: 1, dropped: 2 })
    },
  )
})
