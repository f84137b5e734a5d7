/** A node goes on when the standard output is unread, closed or full. */
import { expect, it } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { spawnNode } from '../kit/node.ts'
import { encodePublish } from '../kit/wire-encoder.ts'

const MIB = 1_048_576
const flood = Array.from({ length: 1_000 }, () =>
  encodePublish({ topic: `$SYS/${'x'.repeat(200)}` }),
)

it('a node whose standard output was closed serves its clients, and counts the lost lines', async () => {
  await using node = await spawnNode()
  await using client = await connectAt(node)
  node.process.stdout?.destroy()
  client.send(...flood)
  await client.expectSilence()
  client.send(...flood)
  await client.expectSilence()
  const dropped = async (): Promise<number> =>
    (await MetricsPage.of(node)).value('breakwater_log_lines_dropped_total')
  await expect.poll(dropped, { timeout: 15_000 }).toBeGreaterThan(1_900)
})

it('a node whose standard output is not read stays bounded in memory, and ends at SIGTERM with exit code 0', async () => {
  await using node = await spawnNode()
  await using client = await connectAt(node)
  node.process.stdout?.pause()
  const rounds = 40
  for (let round = 0; round < rounds; round += 1) {
    client.send(...flood)
    await client.expectSilence()
  }
  const page = await MetricsPage.of(node)
  // What was not kept is more than the process may hold.
  expect(page.value('breakwater_log_dropped_bytes_total')).toBeGreaterThan(8 * MIB)
  expect(page.value('nodejs_external_memory_bytes')).toBeLessThan(20 * MIB)
  await node.kill('SIGTERM')
  expect(node.process.exitCode).toBe(0)
})
