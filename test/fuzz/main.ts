/** `npm run fuzz -- --minutes 10 --seed S`: noise for a node, over TCP, TLS and WebSocket, until something breaks. */
import { randomInt } from 'node:crypto'
import { Command } from 'commander'
import { number } from '../kit/number-option.ts'
import { fuzz } from './fuzz-run.ts'

const { minutes, seed } = new Command('npm run fuzz --')
  .description('noise for a node, over TCP, TLS and WebSocket, until something breaks')
  .option('--minutes <count>', 'how long', number({ min: 0.1, max: 10_000 }), 10)
  .option(
    '--seed <number>',
    'of all that is drawn',
    number({ min: 0, max: 2 ** 31, whole: true }),
    randomInt(2 ** 31),
  )
  .parse()
  .opts<{ minutes: number; seed: number }>()
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
