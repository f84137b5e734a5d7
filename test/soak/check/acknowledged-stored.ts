/**
 * G1: a QoS 1/2 message that was acknowledged reaches every persistent session whose SUBACK came before it
 * was sent, and which still had the subscription when everything had been read.
 */
import type { HistoryIndex, Life, Published } from './history-index.ts'
import { matches } from './filter-match.ts'
import { inOrder, type Violation } from './violation.ts'

export function checkAcknowledgedStored(index: HistoryIndex): Violation[] {
  const acknowledged = [...index.published.values()].filter((message) => isOwed(message))
  const violations: Violation[] = []
  for (const life of index.lives) {
    if (life.until !== Infinity) continue
    const received = new Set(life.deliveries.map(({ message }) => message))
    for (const message of acknowledged)
      if (!received.has(message.id) && wants(life, message)) violations.push(missing(life, message))
  }
  return inOrder(violations)
}

function isOwed({ acknowledged, sends }: Published): boolean {
  return acknowledged !== undefined && (sends[0]?.qos ?? 0) > 0
}

function wants(life: Life, { sends }: Published): boolean {
  const [first] = sends
  return (
    first !== undefined &&
    life.subscriptions.some(
      ({ filter, qos, from, until }) =>
        qos > 0 && from < first.seq && until === Infinity && matches(filter, first.topic),
    )
  )
}

function missing(life: Life, { id, sends }: Published): Violation {
  return {
    guarantee: 'G1',
    text: `${id} was acknowledged and never reached the session of ${life.client}`,
    at: sends[0]?.at ?? 0,
    client: life.client,
    message: id,
  }
}
