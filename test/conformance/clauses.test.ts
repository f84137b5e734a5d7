import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CLAUSES, WITHOUT_TEST } from './clauses.ts'
import { readMalformedPackets } from './malformed-packet.ts'

const folder = new URL('./', import.meta.url)

/** Every clause that a test name or a malformed packet carries. */
function namedClauses(): Set<string> {
  const named = new Set<string>()
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.test.ts') || file === 'clauses.test.ts') continue
    const text = readFileSync(new URL(file, folder), 'utf8')
    for (const [clause] of text.matchAll(/MQTT-\d+(?:[.-]\d+)+/g)) named.add(clause)
  }
  for (const { packets } of readMalformedPackets()) {
    for (const { clause } of packets) if (clause !== 'Breakwater') named.add(clause)
  }
  return named
}

describe('The statements of MQTT 3.1.1', () => {
  const named = namedClauses()

  it('are each named by a conformance test or by a reason why a test is missing', () => {
    const missing = CLAUSES.filter((clause) => !named.has(clause) && !(clause in WITHOUT_TEST))
    expect(missing).toEqual([])
  })

  it('with a conformance test have no entry among the reasons for a missing test', () => {
    expect(Object.keys(WITHOUT_TEST).filter((clause) => named.has(clause))).toEqual([])
  })

  it('are named correctly: every statement that a test or a reason names exists', () => {
    const known = new Set(CLAUSES)
    const all = [...named, ...Object.keys(WITHOUT_TEST)]
    expect(all.filter((clause) => !known.has(clause))).toEqual([])
  })
})
