import { describe, expect, it } from 'vitest'
import { SlotTable } from './slot-table.ts'

function valuesOf(table: SlotTable, key: number): number[] {
  const values: number[] = []
  for (let slot = table.first(key); slot !== -1; slot = table.next(key, slot)) {
    values.push(table.valueAt(slot))
  }
  return values
}

function remove(table: SlotTable, key: number, value: number): void {
  let slot = table.first(key)
  while (table.valueAt(slot) !== value) slot = table.next(key, slot)
  table.removeAt(slot)
}

describe('a slot table', () => {
  it('finds every value of a key, through growth and shrinking', () => {
    const table = new SlotTable()
    const keys = [...Array(2_000).keys()].map((each) => Math.imul(each, 0x9e3779b1))
    for (const [at, key] of keys.entries()) {
      expect(table.add(key, at)).toBe(true)
      expect(table.add(key, at + 10_000)).toBe(true)
    }
    expect(table.size).toBe(4_000)
    for (const [at, key] of keys.entries()) {
      expect(valuesOf(table, key).sort((a, b) => a - b)).toEqual([at, at + 10_000])
    }
    for (const [at, key] of keys.entries()) remove(table, key, at)
    for (const [at, key] of keys.entries()) expect(valuesOf(table, key)).toEqual([at + 10_000])
    for (const [at, key] of keys.entries()) remove(table, key, at + 10_000)
    expect(table.size).toBe(0)
    expect(keys.flatMap((key) => valuesOf(table, key))).toEqual([])
  })

  it('closes the gap that a removed pair leaves, also around the end of the table', () => {
    // Homes 14, 14, 15, 15, 14, 0, 15, 1 of 16 slots: one run.
    const keys = new Map([14, 30, 15, 31, 46, 16, 47, 1].entries())
    const table = new SlotTable()
    for (const [value, key] of keys) table.add(key, value)
    for (const gone of [2, 0, 5, 7, 1, 6, 3, 4]) {
      remove(table, keys.get(gone) ?? 0, gone)
      keys.delete(gone)
      for (const [value, key] of keys) expect(valuesOf(table, key)).toEqual([value])
    }
  })

  it('replaces a value in its slot', () => {
    const table = new SlotTable()
    table.add(-5, 1)
    table.setValueAt(table.first(-5), 0)
    expect(valuesOf(table, -5)).toEqual([0])
  })

  it('refuses equal keys beyond a given probe length, and accepts any number without one', () => {
    const table = new SlotTable()
    const added = [...Array(100).keys()].filter((value) => table.add(7, value, 9))
    expect(added).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(table.add(8, 50, 9)).toBe(true)
    for (let value = 100; value < 300; value++) expect(table.add(7, value)).toBe(true)
    expect(valuesOf(table, 7)).toHaveLength(210)
    expect(valuesOf(table, 8)).toEqual([50])
  })
})
