import { expect } from 'vitest'
import type { FilterRefusal, ReadPause } from '@breakwater/metrics'
import type { TestNode } from '../../kit/node.ts'
import { WireClient } from '../../kit/wire-client.ts'
import { MetricsPage } from '../metrics-page.ts'
import type { ConnectFields } from '../../kit/wire-encoder.ts'

/** Drives one limit to its bound and beyond it, with nodes of its own. */
export type LimitDriver = () => Promise<void>

/** One node, plain and TLS, on free ports. */
export const LISTEN_PLAIN = ['mqtt://127.0.0.1:0'] as const

let lastName = 0

/** A client that the node has accepted; it has a client id of its own unless one is given. */
export async function connect(node: TestNode, fields: ConnectFields = {}): Promise<WireClient> {
  lastName += 1
  const clientId = `client-${lastName}`
  const client = await WireClient.open(node)
  const connack = await client.connect({ clientId, ...fields })
  expect(connack.returnCode).toBe(0)
  return client
}

/** The broker ends this connection with this reason, having sent nothing more. */
export async function expectClosedWith(
  node: TestNode,
  client: WireClient,
  reason: string,
): Promise<void> {
  await client.expectClosed()
  await node.logged((line) => line['msg'] === 'connection closed')
  expect(node.closeReasons()).toEqual([reason])
}

/** The node has counted this number of refused filters, all of them for this reason. */
export async function expectFiltersRefused(
  node: TestNode,
  reason: FilterRefusal,
  filters: number,
): Promise<void> {
  const page = await MetricsPage.of(node)
  const metric = 'breakwater_filters_refused_total'
  expect([page.value(metric, { reason }), page.value(metric)]).toEqual([filters, filters])
}

/** The node has counted pauses of reading for this reason, and for no other one. */
export async function expectReadPauses(node: TestNode, reason: ReadPause): Promise<void> {
  const page = await MetricsPage.of(node)
  const metric = 'breakwater_read_pauses_total'
  expect(page.value(metric, { reason })).toBeGreaterThan(0)
  expect(page.value(metric)).toBe(page.value(metric, { reason }))
}
