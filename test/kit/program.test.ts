import { describe, expect, test } from 'vitest'
import { findProgram, skipWithout } from './program.ts'

class Skipped extends Error {}

const context = {
  skip: ((reason?: unknown): never => {
    throw new Skipped(String(reason))
  }) as Parameters<typeof skipWithout>[0]['skip'],
}

describe('programs of the machine:', () => {
  test('a program on the PATH is found by its path, a missing one is undefined', () => {
    expect(findProgram('sh')).toMatch(/^\/.*\/sh$/)
    expect(findProgram('no-such-program')).toBeUndefined()
  })

  test('a folder or a file that cannot be executed does not count as a program', () => {
    expect(findProgram('.')).toBeUndefined()
  })

  test('a test that needs installed programs gets their paths', () => {
    const [shell] = skipWithout(context, 'sh')
    expect(shell).toBe(findProgram('sh'))
  })

  test('a test that needs a missing program is skipped with a reason that names the program', () => {
    expect(() => skipWithout(context, 'sh', 'no-such-program')).toThrow(
      new Skipped('no-such-program not installed'),
    )
  })
})
