/** `npm run fuzz -- --minutes 10 --seed S`: noise for a node, over TCP, TLS and WebSocket, until something breaks. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz-run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
  },
})
const [minutes, seed] = [Number(values.minutes), Number(values.seed)]
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error('fuzz: --minutes is a number above 0, --seed a whole number')
  process.exit(1)
}
const end = performance.now() + minutes * 60_000
let toldAt = performance.now()
console.log(`seed ${seed}, ${minutes} minutes`)
try {
  const { held, reasons, heapMib } = await fuzz({
    seed,
    isEnough: () => performance.now() >= end,
    onBatch: (conversations) => {
      if (performance.now() - toldAt < 30_000) return
      toldAt = performance.now()
      console.log(`${conversations} conversations`)
    },
  })
  console.log(`${held} conversations, and nothing broke; heap ${heapMib.join(' → ')} MiB`)
  console.log(reasons)
} catch (error) {
  console.error(error)
  process.exitCode = 1
}
