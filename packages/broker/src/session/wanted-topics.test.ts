import { topicMatchesFilter, type QoS } from '@breakwater/mqtt'
import { expect, test } from 'vitest'
import { WantedTopics } from './wanted-topics.ts'

const TOPICS = ['a', 'a/b', 'a/b/c', 'b', 'b/c', '$SYS/x', 'x/1', 'x/1/y', 'x/2/z', 'm/7']
const FILTERS = ['a/+', 'b', 'x/#', '+/+/c', 'm/7', '$SYS/+', 'n/1', 'n/2', 'n/3', 'n/4', 'n/5']

test.each([1, 3, 8, 9, 11])(
  'the topic filter set of a session with %i filters contains exactly the topics that one filter matches',
  (n) => {
    const filters = new Map<string, QoS>(FILTERS.slice(0, n).map((filter) => [filter, 1]))
    const wanted = new WantedTopics({ filters, filtersVersion: 0 })
    for (const topic of TOPICS) {
      const isMatched = [...filters.keys()].some((filter) => topicMatchesFilter(topic, filter))
      expect(wanted.has(topic), topic).toBe(isMatched)
    }
  },
)

test('the topic filter set of a session follows added and removed filters', () => {
  const filters = new Map<string, QoS>(FILTERS.map((filter) => [filter, 1]))
  const holder = { filters, filtersVersion: 0 }
  const wanted = new WantedTopics(holder)
  expect([wanted.has('new/topic'), wanted.has('m/7')]).toEqual([false, true])
  filters.set('new/+', 0)
  filters.delete('m/7')
  holder.filtersVersion += 1
  expect([wanted.has('new/topic'), wanted.has('m/7')]).toEqual([true, false])
})
