import { readFileSync } from 'node:fs'
import { CLOSE_REASONS, closeReasonIds } from '@breakwater/broker'
import {
  limitDeclarations,
  limitNames,
  limitVariable,
  SETTINGS,
  settingNames,
} from '@breakwater/config'
import { expect, test } from 'vitest'
import { SIGNALS } from '../../packages/broker/src/command/signals.ts'
import { tableRows } from './markdown-table.ts'

const code = (text: string): string => `\`${text}\``

test('docs/LIMITS.md describes every limit as the code declares it', () => {
  const declared = limitNames.map((name) => {
    const { unit, default: value, protects, atLimit } = limitDeclarations[name]
    const number = value.toLocaleString('en-US')
    return [code(name), code(limitVariable(name)), unit, number, protects, atLimit]
  })
  const rows = tableRows('LIMITS.md').filter((row) => row.length === 6)
  expect(rows.slice(1)).toEqual(declared)
})

test('docs/CLOSE-REASONS.md lists every reason with its meaning', () => {
  const declared = closeReasonIds.map((id) => {
    const reason = CLOSE_REASONS[id]
    const told = 'connackCode' in reason ? `0x0${reason.connackCode}` : '–'
    return [code(id), reason.fault, told, reason.meaning]
  })
  const rows = tableRows('CLOSE-REASONS.md').slice(1)
  expect(rows.map((row) => row.slice(0, 4))).toEqual(declared)
  for (const row of rows) expect(row[4], row[0]).toMatch(/\w/)
})

test('docs/METRICS.md states the number of close reasons that each listener has a series for', () => {
  const page = readFileSync(new URL('../../docs/METRICS.md', import.meta.url), 'utf8')
  expect(page).toContain(`${closeReasonIds.length} close reasons`)
})

test('docs/CONFIG.md lists every setting by its variable and its key', () => {
  const declared = settingNames.map((name) => [code(SETTINGS[name]), code(name)])
  expect(
    tableRows('CONFIG.md')
      .slice(1)
      .map((row) => row.slice(0, 2)),
  ).toEqual(declared)
})

test('docs/SIGNALS.md describes every signal that a node handles', () => {
  const rows = tableRows('SIGNALS.md').slice(1)
  const told = rows.flatMap(([names = '', what = '']) =>
    [...names.matchAll(/`(SIG\w+)`/g)].map(([, name]) => [name, what.split(/\W/)[0]]),
  )
  const words = { stop: 'stops', 'read-files': 'looks', nothing: 'nothing' } as const
  expect(told).toEqual(
    expect.arrayContaining(Object.entries(SIGNALS).map(([name, what]) => [name, words[what]])),
  )
})
