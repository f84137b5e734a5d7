import { describe, expect, it } from 'vitest'
import { TopicTurns } from './topic-turns.ts'

function setUp() {
  const turns = new TopicTurns<readonly [string]>()
  const said: string[] = []
  const enter = (topic: string) => turns.enter(topic, (what) => said.push(what))
  return { turns, said, enter }
}

describe('what is ready in any order', () => {
  it('is told in the order of the entries of its topic', () => {
    const { said, enter } = setUp()
    const [first, second, third] = ['t', 't', 't'].map(enter)
    second?.('second')
    third?.('third')
    expect(said).toEqual([])
    first?.('first')
    expect(said).toEqual(['first', 'second', 'third'])
    enter('t')('fourth')
    expect(said.at(-1)).toBe('fourth')
  })

  it('waits for no other topic', () => {
    const { said, enter } = setUp()
    enter('slow')
    enter('t')('told')
    expect(said).toEqual(['told'])
  })

  it('each waiter for a topic is called once, even where another one throws or enters meanwhile', () => {
    const { turns, said, enter } = setUp()
    const first = turns.enter('t', () => {
      enter('t')('entered meanwhile')
      throw new Error('its own fault')
    })
    enter('t')('second')
    expect(() => first('first')).toThrow('its own fault')
    expect(said).toEqual(['second', 'entered meanwhile'])
  })
})
