/** What a SUBSCRIBE and an UNSUBSCRIBE cost Redis and the other nodes: their own bytes, whatever the session holds. */
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import type { WireClient } from '../kit/wire-client.ts'
import { connectAt, startCluster } from './cluster.ts'

const HELD = Array.from({ length: 60 }, (_, index) => `held/${index}/`.padEnd(4_000, 'x'))
const ROUNDS = 30
/** Log, routes, words and their answers, for three nodes; one reading of all filters is 240,000. */
const ROUND_BYTES_MAX = 20_000

async function bytesThrough(redis: Redis): Promise<number> {
  const stats = await redis.info('stats')
  const read = (name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(stats)?.[1])
  return read('total_net_input_bytes') + read('total_net_output_bytes')
}

async function changeFilters(client: WireClient, start: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    expect(await client.subscribe([`${start}/${round}`, 1])).toEqual([1])
    await client.unsubscribe(`${start}/${round}`)
  }
}

it('changing one filter of a session with 240 KB of filters sends only that filter to Redis and to other nodes', async () => {
  await using cluster = await startCluster()
  const redis = new Redis(cluster.redis.url)
  await using client = await connectAt(cluster.a, { clientId: 'laden', clean: false })
  await client.subscribe(...HELD.map((filter) => [filter, 1] as const))
  const before = await bytesThrough(redis)
  await changeFilters(client, 'laden')
  const laden = (await bytesThrough(redis)) - before
  redis.disconnect()
  expect(laden / ROUNDS).toBeLessThan(ROUND_BYTES_MAX)
  // The others know what is there now, and nothing else has gone.
  await using publisher = await connectAt(cluster.b)
  await client.subscribe(['laden/last', 1])
  for (const topic of [HELD[0] as string, 'laden/0', 'laden/last'])
    await publisher.publish({ topic, qos: 1 })
  expect((await client.receive(2)).map(({ topic }) => topic)).toEqual([HELD[0], 'laden/last'])
  await client.expectSilence()
})
