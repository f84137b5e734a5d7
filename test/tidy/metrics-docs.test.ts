/** docs/METRICS.md and the catalogue say the same, word for word. */
import { readFile } from 'node:fs/promises'

import { catalog, METRIC_PREFIX, type MetricDefinition, PROCESS_METRICS } from '@breakwater/metrics'
import { expect, test } from 'vitest'

const page = await readFile(new URL('../../docs/METRICS.md', import.meta.url), 'utf8')

/** How the page writes a set of label values that a node supplies when it starts. */
const supplied: Record<string, string> = {
  listeners: ' (each listener)',
  closeReasons: ' (each close reason)',
  dropReasons: ' (each drop reason)',
  logKinds: ' (each kind of line)',
  redisFaults: ' (each kind of fault)',
  redisSettings: ' (each setting)',
  redisKeys: ' (each kind of key)',
}

function labelsCell({ labels }: MetricDefinition): string {
  const cells = Object.entries(labels).map(([label, values]) => {
    const values_ = typeof values === 'string' ? supplied[values] : ` (${values.join(', ')})`
    return `\`${label}\`${values_ ?? ''}`
  })
  return cells.join(', ') || '–'
}

function row(name: string, definition: MetricDefinition): string {
  const { type, unit, help } = definition
  const cells = [`\`${METRIC_PREFIX}${name}\``, type, unit, labelsCell(definition), help]
  return `| ${cells.join(' | ')} |`
}

test('docs/METRICS.md has one row for every metric, and no other rows', () => {
  const rows = page.split('\n').filter((line) => line.startsWith(`| \`${METRIC_PREFIX}`))
  const expected = Object.entries<MetricDefinition>(catalog).map(([name, each]) => row(name, each))
  expect(rows).toEqual(expected)
})

test('docs/METRICS.md has one row for every process metric, and no other rows', () => {
  const rows = page.match(/^\| `(?:process|nodejs)_\w+`/gm) ?? []
  expect(rows.map((each) => each.slice(3, -1))).toEqual([...PROCESS_METRICS])
})

test('every query in docs/METRICS.md reads existing metrics', () => {
  const known = new Set<string>(PROCESS_METRICS)
  for (const [name, { type }] of Object.entries<MetricDefinition>(catalog)) {
    known.add(METRIC_PREFIX + name)
    if (type !== 'histogram') continue
    for (const suffix of ['_bucket', '_sum', '_count']) known.add(METRIC_PREFIX + name + suffix)
  }
  const queries = [...page.matchAll(/`([^`\n]*(?:breakwater|process|nodejs)_[^`\n]*)`/g)]
  const read = queries.flatMap(
    ([, code]) => code!.match(/\b(?:breakwater|process|nodejs)_\w+/g) ?? [],
  )
  const leftOut = /^(?:nodejs_eventloop_lag_|nodejs_active_|process_open_fds)/
  expect(read.filter((name) => !known.has(name) && !leftOut.test(name))).toEqual([])
  expect(read.length).toBeGreaterThan(known.size / 2)
})
