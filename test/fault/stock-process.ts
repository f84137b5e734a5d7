/** The stock broker as a process of its own, for `stock-report.ts`: prints its port, runs until it is killed. */
import { startStockBroker } from '../kit/stock-broker.ts'

const broker = await startStockBroker()
process.stdout.write(`${JSON.stringify({ port: broker.port })}\n`)
