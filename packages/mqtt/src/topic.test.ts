import { describe, expect, it } from 'vitest'
import {
  hasWildcard,
  isValidTopicFilter,
  isValidTopicName,
  topicLevels,
  topicMatchesFilter,
} from './topic.ts'

describe('topic names', () => {
  it.each(['a', '/', '//', 'a/b', ' ', 'a b', '$SYS/x', 'é/😀', 'A', '__proto__'])(
    'accept %j',
    (topic) => {
      expect(isValidTopicName(topic)).toBe(true)
    },
  )

  it.each(['', '+', '#', 'a/+', 'a/#', 'a+b', 'a#b'])(
    'refuse %j: a topic name has a character and no wildcard [MQTT-4.7.3-1] [MQTT-3.3.2-2]',
    (topic) => {
      expect(isValidTopicName(topic)).toBe(false)
    },
  )

  it('refuse NUL [MQTT-4.7.3-2]', () => {
    expect(isValidTopicName('a\u0000b')).toBe(false)
    expect(isValidTopicFilter('a\u0000b')).toBe(false)
  })
})

describe('topic filters', () => {
  it.each(['#', '+', 'a/#', '+/+', '/+', '+/', '/#', 'a/+/b/#', '//', '$SYS/#', '+/a/+', 'a b'])(
    'accept %j',
    (filter) => {
      expect(isValidTopicFilter(filter)).toBe(true)
    },
  )

  it.each(['', 'a#', 'a/b#', '#/a', 'a/#/b', '##', '+#', '#/#', '#/'])(
    'refuse %j: # is the whole last level [MQTT-4.7.1-2]',
    (filter) => {
      expect(isValidTopicFilter(filter)).toBe(false)
    },
  )

  it.each(['a+', '+a', 'a/+b', 'a/b+', '++', 'a/++/b', '+/+a', '+a/+'])(
    'refuse %j: + is a whole level [MQTT-4.7.1-3]',
    (filter) => {
      expect(isValidTopicFilter(filter)).toBe(false)
    },
  )
})

it('the levels of a topic are counted, empty levels included', () => {
  expect(['a', '/', 'a/b', '/a/', '//'].map(topicLevels)).toEqual([1, 2, 2, 3, 3])
})

describe('filter matching', () => {
  it.each([
    ['sport/tennis/player1', 'sport/tennis/player1/#', true],
    ['sport/tennis/player1/ranking', 'sport/tennis/player1/#', true],
    ['sport/tennis/player1/score/wimbledon', 'sport/tennis/player1/#', true],
    ['sport', 'sport/#', true],
    ['sports', 'sport/#', false],
    ['sport/', 'sport/#', true],
    ['sport/tennis/player1', 'sport/tennis/+', true],
    ['sport/tennis/player1/ranking', 'sport/tennis/+', false],
    ['sport', 'sport/+', false],
    ['sport/', 'sport/+', true],
    ['/finance', '+/+', true],
    ['/finance', '/+', true],
    ['/finance', '+', false],
    ['finance', '+/#', true],
    ['a/b', '+/+/#', true],
    ['a', '+/+/#', false],
    ['anything/at/all', '#', true],
    ['/', '#', true],
    ['a//b', 'a/+/b', true],
    ['a//b', 'a/b', false],
    ['a/b', 'a//b', false],
    ['a/b', 'a/bc', false],
    ['a/bc', 'a/b', false],
  ] as const)('of topic %j against filter %j is %j', (topic, filter, matches) => {
    expect(topicMatchesFilter(topic, filter)).toBe(matches)
  })

  it.each([
    ['$SYS/uptime', '#', false],
    ['$SYS/uptime', '+/uptime', false],
    ['$SYS', '+', false],
    ['$SYS/uptime', '$SYS/#', true],
    ['$SYS/uptime', '$SYS/+', true],
    ['a/$b', 'a/+', true],
    ['a/$b', '#', true],
  ] as const)('of topic %j against filter %j is %j [MQTT-4.7.2-1]', (topic, filter, matches) => {
    expect(topicMatchesFilter(topic, filter)).toBe(matches)
  })

  it('compares characters as they are, without folding case or Unicode forms [MQTT-4.7.3-4]', () => {
    expect(topicMatchesFilter('ACCOUNTS', 'Accounts')).toBe(false)
    expect(topicMatchesFilter('e\u0301', '\u00e9')).toBe(false)
    expect(topicMatchesFilter('a/😀', 'a/+')).toBe(true)
    expect(topicMatchesFilter('a/😀', 'a/😁')).toBe(false)
  })
})

it('a filter with a wildcard is recognised', () => {
  const wildcards = ['a', 'a/b', '+', 'a/+/b', '#', 'a/#'].filter(hasWildcard)
  expect(wildcards).toEqual(['+', 'a/+/b', '#', 'a/#'])
})
