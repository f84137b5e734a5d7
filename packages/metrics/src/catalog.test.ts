import { expect, test } from 'vitest'

import { catalog } from './catalog.ts'
import { LATENCY_BUCKETS, type MetricDefinition } from './metric-definition.ts'

const metrics = Object.entries<MetricDefinition>(catalog)

test('metric names follow the conventions of Prometheus: base units, and _total on counters only', () => {
  for (const [name, { type, unit }] of metrics) {
    expect(name).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/)
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
    const stem = name.replace(/_total$/, '')
    for (const base of ['seconds', 'bytes', 'ratio', 'info']) {
      expect(stem.endsWith(`_${base}`) || stem === base, `${name} in ${unit}`).toBe(unit === base)
    }
  }
})

test('every metric has a one-line help text', () => {
  for (const [name, { help, unit }] of metrics) {
    expect(help, name).toMatch(/^[A-Z0-9][^\n|]+[^.\s]$/)
    expect(unit, name).toMatch(/^[a-z]+$/)
  }
})

test('no metric label names a client, a topic or an address', () => {
  const known =
    'change code commit direction key kind listener node openssl qos reason result source state type'
  const labels = new Set(metrics.flatMap(([, definition]) => Object.keys(definition.labels)))
  expect([...labels].sort()).toEqual([...known.split(' '), 'version'])
})

test('histograms measure seconds in rising buckets', () => {
  for (const [name, { type, unit }] of metrics) {
    if (type === 'histogram') expect(unit, name).toBe('seconds')
  }
  expect(LATENCY_BUCKETS.toSorted((a, b) => a - b)).toEqual(LATENCY_BUCKETS)
})
