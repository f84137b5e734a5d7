import { describe, expect, it } from 'vitest'
import { failureOf } from './failure.ts'

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name })
}

describe('a Redis command that failed', () => {
  it.each([
    'NOSCRIPT No matching script',
    'OOM command not allowed when used memory > maxmemory',
    'READONLY You cannot write against a read only replica',
    'OUTOFTURN the call before was refused',
    'MOVED 3999 127.0.0.1:6381',
    'ASK 3999 127.0.0.1:6381',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'CLUSTERDOWN Hash slot not served',
  ])('may still be executed after: %s', (message) => {
    expect(failureOf(named('ReplyError', message)).again).toBe(true)
  })

  it.each(['ERR syntax error', 'WRONGTYPE Operation', 'OOMPH'])(
    'is never executed after: %s',
    (message) => {
      const error = named('ReplyError', message)
      expect(failureOf(error)).toEqual({ error, again: false })
    },
  )

  it('without an answer has the error of a lost connection', () => {
    const error = named('MaxRetriesPerRequestError', 'Reached the max retries')
    const failure = failureOf(error)
    expect(failure.again).toBe(true)
    expect(failure.error?.message).toBe('connection lost')
    expect(failure.error?.cause).toBe(error)
    const closed = new Error('Connection is closed.')
    expect(failureOf(closed)).toEqual({ error: closed, again: true })
  })
})
