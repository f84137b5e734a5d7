import { describe, expect, it } from 'vitest'
import { isSharedFilter, parseSharedFilter } from './shared-filter.ts'

describe('the filter of a shared subscription', () => {
  it.each([
    ['$share/g/t', 'g', 't'],
    ['$share/g/a/+/#', 'g', 'a/+/#'],
    ['$share/g//', 'g', '/'],
    ['$share/$share/$share/g/t', '$share', '$share/g/t'],
  ])('%s names a group and a filter', (filter, group, topicFilter) => {
    expect(parseSharedFilter(filter)).toEqual({ group, topicFilter })
    expect(isSharedFilter(filter)).toBe(true)
  })

  it.each([
    '$share',
    '$share/',
    '$share/g',
    '$share/g/',
    '$share//t',
    '$share/+/t',
    '$share/#',
    '$share/g+/t',
    '$share/g/a#',
    '$share/g/a+/b',
  ])('%s is malformed', (filter) => {
    expect(parseSharedFilter(filter)).toBeUndefined()
    expect(isSharedFilter(filter)).toBe(true)
  })

  it.each(['$shared/g/t', 'share/g/t', '/$share/g/t', '$SHARE/g/t'])(
    '%s is an ordinary filter',
    (filter) => {
      expect(isSharedFilter(filter)).toBe(false)
      expect(parseSharedFilter(filter)).toBeUndefined()
    },
  )
})
