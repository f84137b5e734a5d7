/** Run by kit-redis.test.ts as a process of its own, where the environment names an external Redis. */
import { Redis } from 'ioredis'
import { startRedis } from './redis.ts'

await using redis = await startRedis()
const client = new Redis(redis.url)
for (const name of ['a', 'b', 'c']) await client.set(`${redis.prefix}${name}`, name)
const keys = await client.dbsize()
client.disconnect()
process.stdout.write(JSON.stringify({ mode: redis.mode, url: redis.url, keys }))
