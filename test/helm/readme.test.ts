/** The chart's README lists every value with its default, and no other. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { chartFolder, readYaml } from './chart.ts'

const readme = readFileSync(join(chartFolder, 'README.md'), 'utf8')

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Values as `path` → default in JSON; an empty mapping is a leaf. */
function leaves(value: unknown, path = ''): readonly (readonly [string, string])[] {
  const entries = isMapping(value) ? Object.entries(value) : []
  // Written as one value in the table, because that is how they are replaced.
  const isWhole = /^(resources|podSecurityContext|securityContext)$/.test(path)
  if (entries.length === 0 || isWhole) return [[path, JSON.stringify(value)]]
  return entries.flatMap(([key, item]) => leaves(item, path === '' ? key : `${path}.${key}`))
}

/** Rows `| \`value\` | default | meaning |` of the README's tables. */
function documented(): readonly (readonly [string, string])[] {
  return [...readme.matchAll(/^\| `([^`]+)` \| (.*?) \| (.+) \|$/gm)].map(
    ([, path = '', cell = '']) => [path, cell.replaceAll('`', '')],
  )
}

test('the README of the chart documents exactly the values of the chart', () => {
  const values = new Map(leaves(readYaml(join(chartFolder, 'values.yaml'))))
  expect(documented().map(([path]) => path)).toEqual([...values.keys()])
})

test('the README of the chart gives the defaults of the chart', () => {
  const values = new Map(leaves(readYaml(join(chartFolder, 'values.yaml'))))
  for (const [path, cell] of documented()) {
    const value = values.get(path) ?? ''
    // Long ones are only referred to.
    if (value.length > 60) expect(cell, path).toBe('see values.yaml')
    else expect(cell, path).toBe(value)
  }
})

test('chart and application version are the version of the broker', () => {
  const chart = readYaml(join(chartFolder, 'Chart.yaml'))
  const broker = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../packages/broker/package.json'), 'utf8'),
  ) as { version: string }
  expect(chart).toMatchObject({
    version: broker.version,
    appVersion: broker.version,
    kubeVersion: '>=1.25.0-0',
  })
})
