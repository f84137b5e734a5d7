/** G8 and G13, whose checks wait for what they check: each finds the history that breaks its promise. */
import { describe, expect, it } from 'vitest'
import { checkShared } from './shared.ts'
import { StoryLines } from './story-lines.ts'
import { checkWills } from './wills.ts'

describe('G8: wills', () => {
  const wills = (story: StoryLines): (string | undefined)[] =>
    checkWills(story.index).map(({ message }) => message)
  const watched = (): StoryLines =>
    new StoryLines()
      .connect('sub', 1)
      .subscribe('sub', 1, 'w')
      .connect('dev', 2, { will: 'will-1', willTopic: 'w' })
  const arrives = { topic: 'w' }

  it('one that never comes is found', () => {
    expect(wills(watched().closed('dev', 2, 'broker'))).toEqual(['will-1'])
    expect(
      wills(watched().closed('dev', 2, 'broker').deliver('sub', 1, 'will-1', arrives)),
    ).toEqual([])
    expect(wills(watched())).toEqual([])
  })

  it('one that comes though the client said DISCONNECT is found', () => {
    const said = watched().add({ kind: 'disconnect', client: 'dev', connection: 2 })
    expect(wills(said.closed('dev', 2))).toEqual([])
    expect(wills(said.deliver('sub', 1, 'will-1', arrives))).toEqual(['will-1'])
  })

  it('one that comes after newer words of its client is found', () => {
    const back = (): StoryLines =>
      watched()
        .closed('dev', 2, 'broker')
        .connect('dev', 3)
        .published('m1', { client: 'dev', connection: 3, topic: 'w' })
    const first = back().deliver('sub', 1, 'will-1', arrives).deliver('sub', 1, 'm1', arrives)
    expect(wills(first)).toEqual([])
    const last = back().deliver('sub', 1, 'm1', arrives).deliver('sub', 1, 'will-1', arrives)
    expect(wills(last)).toEqual(['will-1'])
  })
})

describe('G13: shared subscriptions', () => {
  const wrong = (story: StoryLines): (string | undefined)[] =>
    checkShared(story.index).map(({ message }) => message)
  const group = (): StoryLines =>
    new StoryLines()
      .connect('pub', 1)
      .connect('one', 2)
      .subscribe('one', 2, '$share/g/t')
      .connect('two', 3)
      .subscribe('two', 3, '$share/g/t')
      .published('m1')

  it('a message for two members is found, and one for none', () => {
    expect(wrong(group().deliver('one', 2, 'm1'))).toEqual([])
    expect(wrong(group().deliver('one', 2, 'm1').deliver('two', 3, 'm1'))).toEqual(['m1'])
    expect(wrong(group())).toEqual(['m1'])
  })

  it('what a departed member has not acknowledged goes to another', () => {
    const departed = (): StoryLines => group().deliver('one', 2, 'm1')
    expect(wrong(departed().closed('one', 2).deliver('two', 3, 'm1'))).toEqual([])
    const answered = departed().answer('one', 2, 'm1').closed('one', 2)
    expect(wrong(answered.deliver('two', 3, 'm1'))).toEqual(['m1'])
  })
})
