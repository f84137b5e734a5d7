/** G8 and G13, and G1 of retained messages: each check finds the history that breaks its promise, and only that. */
import { describe, expect, it } from 'vitest'
import { checkRetainedFound } from './retained-found.ts'
import { checkShared } from './shared.ts'
import { StoryLines } from './story-lines.ts'
import { checkWills } from './wills.ts'

describe('soak check G8, wills:', () => {
  const wills = (story: StoryLines): (string | undefined)[] =>
    checkWills(story.index).map(({ message }) => message)
  const watched = (): StoryLines =>
    new StoryLines()
      .connect('sub', 1)
      .subscribe('sub', 1, 'w')
      .connect('dev', 2, { will: 'will-1', willTopic: 'w' })
  const arrives = { topic: 'w' }

  it('the check finds a will that is never published', () => {
    expect(wills(watched().closed('dev', 2, 'broker'))).toEqual(['will-1'])
    expect(
      wills(watched().closed('dev', 2, 'broker').deliver('sub', 1, 'will-1', arrives)),
    ).toEqual([])
    expect(wills(watched())).toEqual([])
  })

  it('the check finds a will that is published although the client sent DISCONNECT', () => {
    const said = watched().add({ kind: 'disconnect', client: 'dev', connection: 2 })
    expect(wills(said.closed('dev', 2))).toEqual([])
    expect(wills(said.deliver('sub', 1, 'will-1', arrives))).toEqual(['will-1'])
  })

  it('the check accepts a will whose DISCONNECT the node may not have received, and a missing will whose client came back', () => {
    const killed = watched()
      .add({ kind: 'disconnect', client: 'dev', connection: 2 })
      .fault('kill-node', 'begin', 'a')
      .closed('dev', 2)
    expect(wills(killed.deliver('sub', 1, 'will-1', arrives))).toEqual([])
    expect(wills(watched().closed('dev', 2, 'broker').connect('dev', 3))).toEqual([])
  })

  it('the check finds a will that arrives after newer messages of its client', () => {
    const back = (): StoryLines =>
      watched()
        .closed('dev', 2, 'broker')
        .connect('dev', 3)
        .published('m1', { client: 'dev', connection: 3, topic: 'w' })
    const first = back().deliver('sub', 1, 'will-1', arrives).deliver('sub', 1, 'm1', arrives)
    expect(wills(first)).toEqual([])
    const last = back().deliver('sub', 1, 'm1', arrives).deliver('sub', 1, 'will-1', arrives)
    expect(wills(last)).toEqual(['will-1'])
    const unheard = watched()
      .closed('dev', 2, 'broker')
      .fault('redis-oom', 'begin', 'redis')
      .connect('dev', 3)
      .published('m1', { client: 'dev', connection: 3, topic: 'w' })
    const late = unheard.deliver('sub', 1, 'm1', arrives).deliver('sub', 1, 'will-1', arrives)
    expect(wills(late)).toEqual([])
  })
})

describe('soak check G13, shared subscriptions:', () => {
  const wrong = (story: StoryLines): (string | undefined)[] =>
    checkShared(story.index, { recoverMs: 500 }).map(({ message }) => message)
  const group = (): StoryLines =>
    new StoryLines()
      .connect('pub', 1)
      .connect('one', 2)
      .subscribe('one', 2, '$share/g/t')
      .connect('two', 3)
      .subscribe('two', 3, '$share/g/t')
      .published('m1')

  it('the check finds a message that reached two members, and a message that reached none', () => {
    expect(wrong(group().deliver('one', 2, 'm1'))).toEqual([])
    expect(wrong(group().deliver('one', 2, 'm1').deliver('two', 3, 'm1'))).toEqual(['m1'])
    expect(wrong(group())).toEqual(['m1'])
  })

  it('the check accepts an unacknowledged message of a departed member at another member', () => {
    const departed = (): StoryLines => group().deliver('one', 2, 'm1')
    expect(wrong(departed().closed('one', 2).deliver('two', 3, 'm1'))).toEqual([])
    const answered = (ms: number): StoryLines =>
      departed().answer('one', 2, 'm1').wait(ms).closed('one', 2).deliver('two', 3, 'm1')
    expect(wrong(answered(2_000))).toEqual(['m1'])
    // The node may not have noted it.
    expect(wrong(answered(0))).toEqual([])
  })

  it('the check accepts a second delivery when a cut-off node may have been declared dead', () => {
    const story = group().deliver('one', 2, 'm1').fault('node-redis-away', 'begin', 'a')
    expect(wrong(story.deliver('two', 3, 'm1'))).toEqual([])
    const other = group().deliver('one', 2, 'm1').fault('node-redis-away', 'begin', 'b')
    expect(wrong(other.deliver('two', 3, 'm1'))).toEqual(['m1'])
  })

  it('the check accepts a second delivery only of messages handed on while a node was stopped', () => {
    const apart = (): StoryLines =>
      new StoryLines()
        .connect('pub', 1)
        .connect('one', 2)
        .subscribe('one', 2, '$share/g/t')
        .connect('two', 3, { node: 'b' })
        .subscribe('two', 3, '$share/g/t')
    const stopped = (story: StoryLines): StoryLines =>
      story.fault('stop-node', 'begin', 'b').wait(100).fault('stop-node', 'end', 'b')
    const both = (story: StoryLines): StoryLines =>
      story.deliver('one', 2, 'm1').deliver('two', 3, 'm1')
    expect(wrong(both(stopped(apart().published('m1'))))).toEqual([])
    expect(wrong(both(stopped(apart()).published('m1')))).toEqual(['m1'])
  })

  it('the check expects no delivery to a group in which no member has stayed', () => {
    expect(wrong(group().connect('one', 4, { clean: true }))).toEqual(['m1'])
    const over = group().connect('one', 4, { clean: true }).connect('two', 5, { clean: true })
    expect(wrong(over)).toEqual([])
  })
})

describe('soak check G1, retained messages are found:', () => {
  const missed = (story: StoryLines): (string | undefined)[] =>
    checkRetainedFound(story.index).map(({ message }) => message)
  const kept = { retain: true }
  const late = (story: StoryLines): StoryLines =>
    story.connect('late', 3, { clean: true }).subscribe('late', 3, '#')
  const two = (): StoryLines =>
    new StoryLines().connect('pub', 1).published('m1', kept).published('m2', kept)

  it('the check finds a late subscriber that gets no retained message, or only an older one', () => {
    expect(missed(late(two()))).toEqual(['m2'])
    expect(missed(late(two()).deliver('late', 3, 'm1', kept))).toEqual(['m2'])
    expect(missed(late(two()).deliver('late', 3, 'm2', kept))).toEqual([])
    expect(missed(late(two()).published('m3', kept).deliver('late', 3, 'm3'))).toEqual([])
  })

  it('the check expects no retained message before the acknowledgement, on other topics, or on a connection that ended', () => {
    expect(missed(late(new StoryLines().connect('pub', 1).publish('m1', kept)))).toEqual([])
    const other = two().connect('late', 3, { clean: true }).subscribe('late', 3, 'x')
    expect(missed(other)).toEqual([])
    expect(missed(late(two()).closed('late', 3))).toEqual([])
  })

  it('the check accepts a repeated publish as the newer retained message', () => {
    const again = two().publish('m1', { ...kept, dup: true })
    expect(missed(late(again).deliver('late', 3, 'm1', kept))).toEqual([])
  })
})
