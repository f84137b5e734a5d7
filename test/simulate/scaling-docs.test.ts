/** docs/SCALING.md and its picture show what the model says of the committed unit costs. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { tableRows } from '../tidy/markdown-table.ts'
import { DEFAULTS } from './command-line.ts'
import {
  costRows,
  fleetRows,
  otherRows,
  scalingChart,
  sizeRows,
  SIZES,
  validationRows,
} from './report.ts'
import { readCosts } from './unit-costs.ts'
import { readValidation } from './validate.ts'

const costs = readCosts()

it('docs/SCALING.md has every row that `npm run simulate` prints', () => {
  const page = tableRows('SCALING.md').map((row) => row.join(' | '))
  const rows = [
    ...costRows(costs),
    ...otherRows(costs),
    ...fleetRows(costs, DEFAULTS),
    ...sizeRows(costs, SIZES),
    ...validationRows(readValidation()),
  ]
  for (const row of rows) expect(page).toContain(row.join(' | '))
})

it('docs/scaling.svg is the chart that `npm run simulate` draws', () => {
  const file = new URL('../../docs/scaling.svg', import.meta.url)
  expect(readFileSync(file, 'utf8')).toBe(scalingChart(costs, DEFAULTS.nodesMax))
})

it('every curve of docs/scaling.svg has a point for each cluster size, inside its panel', () => {
  const chart = scalingChart(costs, DEFAULTS.nodesMax)
  const curves = [...chart.matchAll(/<polyline points="([^"]+)"/g)]
  expect(curves).toHaveLength(6)
  for (const [, points = ''] of curves) {
    const places = points.split(' ').map((point) => point.split(',').map(Number))
    expect(places).toHaveLength(DEFAULTS.nodesMax - 1)
    for (const [x = NaN, y = NaN] of places) {
      expect(x).toBeGreaterThan(0)
      expect(x).toBeLessThan(920)
      expect(y).toBeGreaterThanOrEqual(34 + 54)
      expect(y).toBeLessThanOrEqual(34 + 340 - 58)
    }
  }
})
