/** G1, G2, G5 and G12: each checker finds the history that breaks its promise, and only that one. */
import { describe, expect, it } from 'vitest'
import { checkAcknowledgedStored } from './acknowledged-stored.ts'
import { checkExactlyOnce } from './exactly-once.ts'
import { matches } from './filter-match.ts'
import { checkLiveGaps } from './live-gaps.ts'
import { checkOrder } from './order.ts'
import { pair, type StoryLines } from './story-lines.ts'

const stored = (story: StoryLines): (string | undefined)[] =>
  checkAcknowledgedStored(story.index).map(({ message }) => message)

describe('soak check G1, acknowledged means stored:', () => {
  it('the check finds acknowledged messages that never arrived, in order', () => {
    const story = pair().published('m1').published('m2').published('m3').deliver('sub', 2, 'm1')
    expect(stored(story)).toEqual(['m2', 'm3'])
  })

  it('the check accepts a message that arrives on any later connection', () => {
    const story = pair().published('m1').closed('sub', 2)
    expect(stored(story)).toEqual(['m1'])
    story.connect('sub', 3, { sessionPresent: true }).deliver('sub', 3, 'm1')
    expect(stored(story)).toEqual([])
  })

  it('the check expects no message without an acknowledgement, or for a subscription that began later or has ended', () => {
    expect(stored(pair().publish('m1'))).toEqual([])
    const late = pair().connect('late', 3).published('m1').subscribe('late', 3, 't')
    expect(stored(late.deliver('sub', 2, 'm1'))).toEqual([])
    const facts = { client: 'sub', connection: 2, filter: 't', qos: 1 }
    expect(
      stored(
        pair()
          .published('m1')
          .add({ kind: 'unsubscribe', ...facts }),
      ),
    ).toEqual([])
    expect(stored(pair().published('m1').connect('sub', 3, { clean: true }))).toEqual([])
  })

  it('the check counts a QoS 2 message as acknowledged only after PUBCOMP', () => {
    const facts = { client: 'pub', connection: 1, message: 'm1', packetId: 1 }
    const story = pair()
      .publish('m1', { qos: 2 })
      .add({ kind: 'pubrec', ...facts })
    expect(stored(story)).toEqual([])
    expect(stored(story.add({ kind: 'pubcomp', ...facts }))).toEqual(['m1'])
  })
})

describe('soak check G2, a live connection has no gap:', () => {
  const gaps = (story: StoryLines): (string | undefined)[] =>
    checkLiveGaps(story.index, { closeWithinMs: 1_000 }).map(({ message }) => message)

  it('the check finds a message that is missing before one that arrived', () => {
    const story = pair({ clean: true }).published('m1').published('m2')
    expect(gaps(story.deliver('sub', 2, 'm2').closed('sub', 2))).toEqual(['m1'])
  })

  it('the check finds a message missing at the end only on a connection that stayed', () => {
    const story = pair({ clean: true }).published('m1').deliver('sub', 2, 'm1').published('m2')
    expect(gaps(story)).toEqual(['m2'])
    expect(gaps(story.closed('sub', 2))).toEqual([])
  })

  it('the check accepts a gap when the broker closes the connection in time', () => {
    const gap = (): StoryLines =>
      pair({ clean: true }).published('m1').published('m2').deliver('sub', 2, 'm2')
    expect(gaps(gap().closed('sub', 2, 'broker'))).toEqual([])
    expect(gaps(gap().wait(5_000).closed('sub', 2, 'broker'))).toEqual(['m1'])
  })
})

describe('soak check G5, order:', () => {
  const wrong = (story: StoryLines): (string | undefined)[] =>
    checkOrder(story.index).map(({ message }) => message)

  it('the check finds a message that arrives after one that was published later', () => {
    const story = pair().published('m1').published('m2').deliver('sub', 2, 'm2')
    expect(wrong(story)).toEqual([])
    // On its connection, and in its session.
    expect(wrong(story.deliver('sub', 2, 'm1'))).toEqual(['m1', 'm1'])
  })

  it('the check accepts a late repetition, and orders each topic and publisher independently', () => {
    const story = pair().published('m1').published('m2').published('x1', { topic: 'x' })
    story.deliver('sub', 2, 'x1').deliver('sub', 2, 'm1').deliver('sub', 2, 'm2').closed('sub', 2)
    story.connect('sub', 3, { sessionPresent: true }).deliver('sub', 3, 'm1', { dup: true })
    expect(wrong(story.deliver('sub', 3, 'm2', { dup: true }))).toEqual([])
  })

  it('the check orders QoS 0 messages within a connection, not across connections', () => {
    const moved = (): StoryLines => {
      const story = pair().publish('m1', { qos: 0 }).publish('m2', { qos: 0 })
      story.deliver('sub', 2, 'm2', { qos: 0 }).closed('sub', 2)
      return story.connect('sub', 3, { sessionPresent: true })
    }
    expect(wrong(moved().deliver('sub', 3, 'm1', { qos: 0 }))).toEqual([])
    const same = pair().publish('m1', { qos: 0 }).publish('m2', { qos: 0 })
    same.deliver('sub', 2, 'm2', { qos: 0 }).deliver('sub', 2, 'm1', { qos: 0 })
    expect(wrong(same)).toEqual(['m1'])
  })

  it('the check ignores the order of a message that was published twice', () => {
    const story = pair().publish('m1').published('m2').published('m1', { dup: true })
    expect(wrong(story.deliver('sub', 2, 'm2').deliver('sub', 2, 'm1'))).toEqual([])
  })
})

describe('soak check G12, QoS 2 once:', () => {
  const twice = (story: StoryLines): (string | undefined)[] =>
    checkExactlyOnce(story.index).map(({ message }) => message)

  it('the check finds one message with two packet ids in one session', () => {
    const story = pair().published('m1', { qos: 2 }).deliver('sub', 2, 'm1', { packetId: 1 })
    expect(twice(story)).toEqual([])
    expect(twice(story.deliver('sub', 2, 'm1', { packetId: 2 }))).toEqual(['m1'])
  })

  it('the check accepts a repetition with the same packet id, and a QoS 1 message that was published twice', () => {
    const again = pair().published('m1', { qos: 2 }).deliver('sub', 2, 'm1').closed('sub', 2)
    again.connect('sub', 3, { sessionPresent: true }).deliver('sub', 3, 'm1', { dup: true })
    expect(twice(again)).toEqual([])
    const once = pair().published('m1').deliver('sub', 2, 'm1', { packetId: 1 })
    expect(twice(once.deliver('sub', 2, 'm1', { packetId: 2 }))).toEqual([])
  })
})

it('the filter matching of the soak checks follows the standard', () => {
  for (const filter of ['t/1', 't/+', 't/#', '#', '+/1', 't/1/#'])
    expect(matches(filter, 't/1')).toBe(true)
  for (const filter of ['t', 't/+/+', '+', 't/2', 't/1/+'])
    expect(matches(filter, 't/1')).toBe(false)
})
