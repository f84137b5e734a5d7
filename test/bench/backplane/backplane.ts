/**
 * What the way from node to node costs, a line per figure: `node --conditions=source
 * test/bench/backplane/backplane.ts [figure…]`, all of them if none is named.
 */
import { compare } from './backplane-compared.ts'
import { measureRetained } from './backplane-retained.ts'
import { measureFanOut, measureStart } from './backplane-sessions.ts'
import { measureFilters, measureSaturated, measureStored } from './backplane-traffic.ts'

const figures: Readonly<Record<string, () => Promise<void>>> = {
  filters: measureFilters,
  start: measureStart,
  'fan-out': measureFanOut,
  saturated: measureSaturated,
  stored: measureStored,
  retained: measureRetained,
  compared: compare,
}

const named = process.argv.slice(2)
for (const name of named.length === 0 ? Object.keys(figures) : named) {
  const measure = figures[name]
  if (measure === undefined) {
    throw new Error(`${name}: must be one of ${Object.keys(figures).join(', ')}`)
  }
  await measure()
}
