/** What the nodes say in their metrics about the messages that they have handled. */
import type { TestNode } from '../kit/node.ts'
import { MetricsPage } from '../fault/metrics-page.ts'

export interface NodeBooks {
  /** Which process of which node. */
  readonly name: string
  readonly received: number
  readonly delivered: number
  readonly inflight: number
  readonly queued: number
  /** Copies that a full queue has given up. */
  readonly queueFull: number
}

export function readBooks(
  nodes: readonly { readonly name: string; readonly node: Pick<TestNode, 'adminPort'> }[],
): Promise<NodeBooks[]> {
  return Promise.all(
    nodes.map(async ({ name, node }) => {
      const page = await MetricsPage.of(node)
      return {
        name,
        received: page.value('breakwater_messages_received_total'),
        delivered: page.value('breakwater_messages_delivered_total'),
        inflight: page.value('breakwater_inflight_messages'),
        queued: page.value('breakwater_queued_messages'),
        queueFull: page.dropped('queue-full'),
      }
    }),
  )
}
