import { expect, vi } from 'vitest'
import type { Limits } from '@breakwater/config'
import { spawnNode, startNode, type LogLine, type TestNode } from '../../kit/node.ts'
import type { WireClient } from '../../kit/wire-client.ts'
import * as wire from '../../kit/wire-encoder.ts'
import { MetricsPage } from '../metrics-page.ts'
import { connect, LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

/** Tests run side by side here, which `expect.poll` is not made for. */
const PATIENCE = { timeout: 30_000 }

const DENIED = 40

/** Publishes to a denied topic, so that each message would be a log line; the node has read all of them. */
async function beDenied(client: WireClient, messages = DENIED): Promise<void> {
  const frame = wire.encodePublish({ topic: '$SYS/denied' })
  client.send(...Array.from({ length: messages }, () => frame))
  await client.expectSilence()
}

function isDenied({ msg }: LogLine): boolean {
  return msg === 'publish denied'
}

async function suppressed(node: TestNode): Promise<number> {
  const page = await MetricsPage.of(node)
  return page.value('breakwater_log_lines_suppressed_total', { kind: 'publish-denied' })
}

async function driveText(): Promise<void> {
  await using node = await startNode({ listen, limits: { logTextBytesMax: 64 } })
  for (const [clientId, shown] of [
    ['e'.repeat(64), 'e'.repeat(64)],
    ['é'.repeat(50), `${'é'.repeat(24)}… (100 bytes)`],
    ['\u202eabc', '\\u202eabc'],
  ] as const) {
    const client = await connect(node, { clientId })
    await client.disconnect()
    const line = await node.logged(
      ({ msg, clientId: id }) => msg === 'connection closed' && id === shown,
    )
    expect(Buffer.byteLength(String(line['clientId']))).toBeLessThanOrEqual(64)
  }
}

/** Of two clients that are denied as often; gives the lines of each, in the order of the clients. */
async function denyTwo(node: TestNode): Promise<[number, number]> {
  await using first = await connect(node, { clientId: 'first' })
  await using second = await connect(node, { clientId: 'second' })
  await beDenied(first)
  await beDenied(second)
  const lines = node.logs().filter(isDenied)
  // Every lost line is counted.
  expect(lines.length + (await suppressed(node))).toBe(2 * DENIED)
  const linesOf = (id: string): number => lines.filter(({ clientId }) => clientId === id).length
  return [linesOf('first'), linesOf('second')]
}

function startCounted(limits: Partial<Limits>): Promise<TestNode> {
  // Long enough that no token is refilled while clients are denied.
  return startNode({ listen, limits: { logSummaryMs: 3_600_000, ...limits } })
}

async function driveLinesPerClient(): Promise<void> {
  await using node = await startCounted({ logLinesPerClientPerSecondMax: 5 })
  const [first, second] = await denyTwo(node)
  for (const lines of [first, second]) {
    expect(lines).toBeGreaterThanOrEqual(5)
    expect(lines).toBeLessThan(DENIED)
  }
}

async function driveLines(): Promise<void> {
  await using node = await startCounted({ logLinesPerSecondMax: 10 })
  const [first, second] = await denyTwo(node)
  expect(first).toBeGreaterThanOrEqual(10)
  expect(first + second).toBeLessThan(2 * DENIED)
}

async function driveSummary(): Promise<void> {
  const limits = { logLinesPerClientPerSecondMax: 5, logSummaryMs: 100 }
  await using node = await startNode({ listen, limits })
  const [first, second] = await denyTwo(node)
  let told = 0
  const isSummary = (line: LogLine): boolean =>
    line['kind'] === 'publish-denied' && / suppressed, [12] clients$/.test(String(line['msg']))
  const sum = (): number => {
    const summaries = node.logs().filter(isSummary)
    return summaries.reduce((lines, line) => lines + Number(line['lines']), 0)
  }
  await vi.waitFor(() => {
    told = sum()
    expect(told).toBe(2 * DENIED - first - second)
  }, PATIENCE)
  expect(told).toBeGreaterThan(0)
}

async function driveBuffer(): Promise<void> {
  const logBufferBytesMax = 65_536
  await using node = await spawnNode({ listen, limits: { logBufferBytesMax } })
  await using client = await connect(node)
  node.process.stdout?.pause()
  const droppedBytes = async (): Promise<number> =>
    (await MetricsPage.of(node)).value('breakwater_log_dropped_bytes_total')
  while ((await droppedBytes()) < 10 * logBufferBytesMax) await beDenied(client, 1_000)
  const page = await MetricsPage.of(node)
  const lines = page.value('breakwater_log_lines_dropped_total')
  expect(lines).toBeGreaterThan(1_000)
  node.process.stdout?.resume()
  // There is room again, so the next lines come, and the first of them says what is missing.
  const told = node.logged(({ msg }) => String(msg).startsWith('lines of the log were dropped'))
  for (let isTold = false; !isTold;) {
    await beDenied(client, 1)
    isTold = await Promise.race([told.then(() => true), client.expectSilence().then(() => false)])
  }
  expect((await told)['lines']).toBeGreaterThanOrEqual(lines)
}

export const logLimits = {
  logTextBytesMax: driveText,
  logLinesPerSecondMax: driveLines,
  logLinesPerClientPerSecondMax: driveLinesPerClient,
  logSummaryMs: driveSummary,
  logBufferBytesMax: driveBuffer,
} as const satisfies Readonly<Record<string, LimitDriver>>
