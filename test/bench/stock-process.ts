/**
 * The stock node as a process of its own: `stock-process.ts mqtt|mqtts [CERT KEY]`. In memory, or on the Redis of
 * STOCK_REDIS_URL.
 */
import { readFileSync } from 'node:fs'
import { startStockBroker } from '../kit/stock-broker.ts'

const [protocol, certFile = '', keyFile = ''] = process.argv.slice(2)
const redisUrl = process.env['STOCK_REDIS_URL']
const broker = await startStockBroker({
  ...(redisUrl === undefined ? {} : { redisUrl }),
  ...(protocol === 'mqtts'
    ? { tls: { cert: readFileSync(certFile), key: readFileSync(keyFile) } }
    : {}),
})
const listen = [`${protocol}://${broker.host}:${broker.port}`]
console.log(JSON.stringify({ msg: 'node is ready', listen }))
process.once('SIGTERM', () => process.exit())
