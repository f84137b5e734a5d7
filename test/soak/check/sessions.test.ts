/** G3, G4, G6, G7 and G11: each checker finds the history that breaks its promise, and only that one. */
import { describe, expect, it } from 'vitest'
import type { NodeBooks } from '../books.ts'
import { checkBalance } from './balance.ts'
import { checkLeftovers } from './no-leftovers.ts'
import { checkOneOwner } from './one-owner.ts'
import { checkResume } from './resume.ts'
import { checkStalled } from './stalled.ts'
import { pair, type StoryLines } from './story-lines.ts'

describe('soak check G3, one owner:', () => {
  const options = { endWithinMs: 1_000, recoverMs: 500 }
  const served = (story: StoryLines): (number | undefined)[] =>
    checkOneOwner(story.index, options).map(({ at }) => at)
  const taken = (): StoryLines =>
    pair().published('m1').connect('sub', 3, { sessionPresent: true, node: 'b#1' })

  it('the check finds a connection that is served long after a later one was accepted', () => {
    expect(served(taken().deliver('sub', 2, 'm1'))).toEqual([])
    expect(served(taken().wait(1_500).deliver('sub', 2, 'm1'))).toHaveLength(1)
  })

  it('the check does not count the time of a fault', () => {
    const story = taken().fault('node-redis-away', 'begin').wait(3_000)
    story.fault('node-redis-away', 'end').wait(600).deliver('sub', 2, 'm1')
    expect(served(story)).toEqual([])
    expect(served(story.wait(1_500).deliver('sub', 2, 'm1'))).toHaveLength(1)
  })

  const stale = (): StoryLines =>
    pair()
      .published('m1')
      .deliver('sub', 2, 'm1')
      .connect('sub', 3, { sessionPresent: true, node: 'b#1' })
      .answer('sub', 2, 'm1')
      .closed('sub', 2, 'broker')
      .closed('sub', 3)
      .connect('sub', 4, { sessionPresent: true })

  it('the check finds an acknowledgement of a former owner that took effect', () => {
    expect(checkResume(stale().index)).toMatchObject([{ guarantee: 'G3', message: 'm1' }])
    expect(checkResume(stale().deliver('sub', 4, 'm1', { dup: true }).index)).toEqual([])
  })
})

describe('soak check G4, a client that reads nothing:', () => {
  const late = (story: StoryLines): (string | undefined)[] =>
    checkStalled(story.index, { deliverWithinMs: 500, recoverMs: 100 }).map(
      ({ message }) => message,
    )
  const stalled = (): StoryLines =>
    pair().connect('slow', 3).add({ kind: 'stall', client: 'slow', connection: 3 })

  it('the check finds another client that waits for the client that reads nothing', () => {
    expect(late(stalled().published('m1').deliver('sub', 2, 'm1'))).toEqual([])
    expect(late(stalled().published('m1').wait(900).deliver('sub', 2, 'm1'))).toEqual(['m1'])
  })

  it('the check accepts the wait of that client itself, and a wait during a fault', () => {
    expect(late(stalled().published('m1').wait(900).deliver('slow', 3, 'm1'))).toEqual([])
    const fault = stalled().published('m1').fault('redis-pause', 'begin').wait(900)
    expect(late(fault.fault('redis-pause', 'end').deliver('sub', 2, 'm1'))).toEqual([])
  })
})

describe('soak check G6, resume:', () => {
  const unanswered = (): StoryLines =>
    pair()
      .published('m1')
      .deliver('sub', 2, 'm1', { packetId: 7 })
      .wait(2_000)
      .closed('sub', 2)
      .connect('sub', 3, { sessionPresent: true })
  const found = (story: StoryLines): string[] =>
    checkResume(story.index).map(({ guarantee, text }) => `${guarantee}: ${text}`)

  it('the check accepts a message that is sent again correctly', () => {
    expect(found(unanswered().deliver('sub', 3, 'm1', { packetId: 7, dup: true }))).toEqual([])
    const answered = pair().published('m1').deliver('sub', 2, 'm1').answer('sub', 2, 'm1')
    expect(found(answered.closed('sub', 2).connect('sub', 3, { sessionPresent: true }))).toEqual([])
  })

  it('the check finds an unacknowledged message that is not sent again', () => {
    expect(found(unanswered())).toEqual(['G6: sub never acknowledged m1, and did not get it again'])
  })

  it('the check finds a changed packet id and a missing DUP', () => {
    expect(found(unanswered().deliver('sub', 3, 'm1', { packetId: 7 }))).toEqual([
      'G6: sub got m1 again without DUP',
    ])
    const other = unanswered().deliver('sub', 3, 'm1', { packetId: 8, dup: true })
    expect(found(other)).toContain('G6: sub got m1 again with packet id 8, before 7')
  })

  it('the check finds a lost session, unless its client ended the session', () => {
    expect(found(pair().closed('sub', 2).connect('sub', 3))).toEqual([
      'G6: the session of sub was gone at its connection 3',
    ])
    const ended = pair().connect('sub', 3, { clean: true }).connect('sub', 4)
    expect(found(ended)).toEqual([])
  })
})

describe('soak check G7, leftovers:', () => {
  const left = (key: string, entries: string[] = []): string[] =>
    checkLeftovers({
      prefix: 'p:',
      keys: [{ key: `p:${key}`, entries }],
      alive: ['node-1'],
      at: 0,
    }).map(({ text }) => text)

  it('the check finds keys of ended sessions and unknown keys', () => {
    expect(left('v1:{7}:session:sub')).toEqual(['v1:{7}:session:sub is left'])
    expect(left('v1:{7}:queue:sub')).toHaveLength(1)
    expect(left('v1:{7}:sessions', ['sub'])).toEqual(['v1:{7}:sessions still names sub'])
    expect(left('v1:{cluster}:routes:node-2')).toEqual(['routes of the dead node node-2 are left'])
    expect(left('v1:{7}:owners')).toHaveLength(1)
    expect(left('v1:anything')).toHaveLength(1)
  })

  it('the check accepts keys of the cluster, of running nodes and of topics', () => {
    for (const key of [
      '{cluster}:departed',
      '{cluster}:log',
      '{cluster}:log-usage',
      '{cluster}:routes:node-1',
      '{3}:retained',
      '{3}:retained-usage',
      '{3}:user-sessions:uann',
    ])
      expect(left(`v1:${key}`)).toEqual([])
    for (const key of ['{node-2}:inbox', '{all}:writer:x']) expect(left(`v1:${key}`)).toEqual([])
  })
})

describe('soak check G11, the message counters', () => {
  const story = pair().published('m1').deliver('sub', 2, 'm1').answer('sub', 2, 'm1')
  const books: NodeBooks = {
    name: 'a#1',
    received: 1,
    delivered: 1,
    inflight: 0,
    queued: 0,
    queueFull: 0,
  }
  const wrong = (changes: Partial<NodeBooks>): number =>
    checkBalance(story.index, [{ ...books, ...changes }], 0).length

  it('balance, or the check names the difference', () => {
    expect(wrong({})).toBe(0)
    for (const changes of [
      { received: 0 },
      { delivered: 0 },
      { inflight: 1 },
      { queued: 1 },
      { queueFull: 1 },
    ])
      expect(wrong(changes)).toBe(1)
  })
})
