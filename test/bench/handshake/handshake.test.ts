/** How the handshake benchmark turns samples into a comparison, without any server. */
import { expect, test } from 'vitest'
import { describeHandshakes, formatHandshakes, type HandshakeSample } from './handshake-result.ts'

function sample(
  server: HandshakeSample['server'],
  kind: HandshakeSample['kind'],
  round: number,
  cpuUs: number | undefined,
): HandshakeSample {
  const facts = { server, kind, round, keys: 'ecdsa', mutual: true } as const
  return cpuUs === undefined ? { ...facts, invalid: 'was not resumed' } : { ...facts, cpuUs }
}

const result = describeHandshakes(new Date(0), 100, [
  sample('breakwater', 'full', 0, 1_000),
  sample('mosquitto', 'full', 0, 1_000),
  sample('bare', 'full', 0, 500),
  sample('mosquitto', 'full', 1, 2_000),
  sample('breakwater', 'full', 1, 3_000),
  sample('breakwater', 'resumed', 0, 800),
  sample('mosquitto', 'resumed', 0, undefined),
])

test('the handshake benchmark computes ratios within rounds and judges their medians', () => {
  const full = result.rows.find(
    ({ keys, mutual, kind }) => keys === 'ecdsa' && mutual && kind === 'full',
  )
  expect(full?.cpuUs.breakwater).toEqual({ median: 2_000, min: 1_000, max: 3_000 })
  expect(full?.timesMosquitto).toEqual({ median: 1.25, min: 1, max: 1.5 })
  expect(full?.timesBare).toEqual({ median: 2, min: 2, max: 2 })
  const reached = result.outcomes.filter(({ goal }) => goal.startsWith('ECDSA P-256, mTLS'))
  expect(reached.map(({ measured, reached }) => [measured, reached])).toEqual([
    [1.25, true],
    [0.8, false],
  ])
})

test('the handshake benchmark reports a missing measurement and claims no result for it', () => {
  const text = formatHandshakes(result)
  expect(text).toMatch(
    /\| ECDSA P-256, mTLS, full \| 2000 \(1000–3000\) \| 1500 \(1000–2000\) \| 500/,
  )
  expect(text).toMatch(/\| RSA 2048, TLS: full ≤ 1.3 × Mosquitto \| – \| not measured \|/)
  expect(text).toContain('* mosquitto, ECDSA P-256, mTLS, resumed: was not resumed')
})
