/** What the tables of a node hold of other nodes' clients and of stored sessions, in bytes of this process. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RouteTable } from '@breakwater/matching'
import { SharedTable } from '../../packages/broker/src/shared/shared-table.ts'
import { StoredFilters } from '../../packages/broker/src/route/stored-filters.ts'

const ENTRIES = 200_000
const SHAPES = 64
const NODES = 4

/** One stored session with one exact filter. */
export function sessionBytes(): number {
  return grownBytes(
    () => new StoredFilters(SHAPES, new SharedTable(SHAPES)),
    (table, index) => table.set(text(`device-${index}`), text(`devices/${index}/commands`), 1),
  )
}

/** One exact filter of some other node. */
export function routeBytes(): number {
  return grownBytes(
    () => new RouteTable({ shapesMax: SHAPES }),
    (table, index) => table.add(`node-${index % NODES}`, text(`devices/${index}/commands`)),
  )
}

function grownBytes<Table>(make: () => Table, add: (table: Table, index: number) => void): number {
  const table = make()
  const before = ownBytes()
  for (let index = 0; index < ENTRIES; index += 1) add(table, index)
  const bytes = (ownBytes() - before) / ENTRIES
  // It must be there until here.
  add(table, ENTRIES)
  return bytes
}

/** As it comes from the wire. */
function text(value: string): string {
  return Buffer.from(value).toString('latin1')
}

function ownBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 4; round += 1) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
