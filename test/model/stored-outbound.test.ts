/*
 * Messages that reach a persistent session while its queue is being read: they come from the queue and from
 * memory, in any interleaving of a store that takes its time, and leave once each and in order.
 */
import * as fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { Message } from '@breakwater/bus'
import { MemoryStore, type QueuedMessage } from '@breakwater/store'
import { describe, expect, it } from 'vitest'
import { FanOut } from '../../packages/broker/src/deliver/fan-out.ts'
import { StoredOutbound } from '../../packages/broker/src/deliver/stored-outbound.ts'
import { createOutboundKit } from './outbound-kit.ts'

const CLIENT = 'device'
const TOPIC = 't'

/** A store like Redis in one respect: a read finds what is there some time later, and says so later still. */
class LateStore extends MemoryStore {
  readonly #asked: (() => void)[] = []
  readonly #found: (() => void)[] = []

  override async readQueue(
    ...args: Parameters<MemoryStore['readQueue']>
  ): Promise<readonly QueuedMessage[]> {
    await gate(this.#asked)
    const found = await super.readQueue(...args)
    await gate(this.#found)
    return found
  }

  /** The oldest read finds what is there now. */
  find(): void {
    this.#asked.shift()?.()
  }

  /** The oldest read that has found something is answered. */
  answer(): void {
    this.#found.shift()?.()
  }
}

async function gate(waiting: (() => void)[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  waiting.push(resolve)
  await promise
}

type Step = 'publish' | 'acknowledge' | 'find' | 'answer' | 'turn'
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Step>('publish') },
    { weight: 2, arbitrary: fc.constant<Step>('acknowledge') },
    { weight: 2, arbitrary: fc.constant<Step>('find') },
    { weight: 2, arbitrary: fc.constant<Step>('answer') },
    { weight: 3, arbitrary: fc.constant<Step>('turn') },
  ),
  { maxLength: 60 },
)

async function play(played: readonly Step[], window: number, qos: 1 | 2): Promise<void> {
  const bounds = { queueMessagesMax: 1_000, queueBytesMax: 1_000_000 }
  await using store = new LateStore(bounds)
  const claim = { clientId: CLIENT, nodeId: 'node', user: '', persistent: true }
  const claimed = await store.claimClient(claim)
  const opened = typeof claimed === 'string' ? undefined : claimed.opened
  if (opened === undefined) throw new Error('opened twice')
  const { sink, packets } = createOutboundKit()
  const faults: Error[] = []
  const outbound = new StoredOutbound({
    clientId: CLIENT,
    opened,
    inflightMessagesMax: window,
    store,
    sink,
    onFault: (error) => faults.push(error),
  })
  outbound.writable()
  let published = 0
  let seen = 0
  const publish = (): void => {
    published += 1
    const message = new Message(TOPIC, Buffer.from(`${published}`), qos, false)
    store.append({ message, queues: [{ clientId: CLIENT, qos }] }, (error, { positions }) => {
      if (error !== undefined) faults.push(error)
      outbound.queued(positions[0] ?? 0, new FanOut(message), qos)
    })
  }
  /** Answers what the client got and has not answered yet. */
  const acknowledge = (): void => {
    const packet = packets[seen]
    if (packet === undefined) return
    seen += 1
    if (packet.type === 'publish')
      outbound.acknowledge(qos === 1 ? 'puback' : 'pubrec', packet.packetId)
    else if (packet.type === 'pubrel') outbound.acknowledge('pubcomp', packet.packetId)
  }
  for (const step of played) {
    if (step === 'publish') publish()
    else if (step === 'acknowledge') acknowledge()
    else if (step === 'find') store.find()
    else if (step === 'answer') store.answer()
    else await turn()
  }
  for (let idle = 0; idle < 5; idle += 1) {
    if (seen < packets.length) idle = 0
    acknowledge()
    store.find()
    await turn()
    store.answer()
    await turn()
  }
  outbound.close()
  const received = packets.flatMap((packet) =>
    packet.type === 'publish' ? [String(packet.payload)] : [],
  )
  expect(faults).toEqual([])
  expect(received).toEqual(Array.from({ length: published }, (_, index) => `${index + 1}`))
}

describe('a persistent session that is connected', () => {
  it('gets queued messages once and in order, while its queue is being read and while it is not', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom<1 | 2>(1, 2),
        async (played, window, qos) => play(played, window, qos),
      ),
      { numRuns: 500, interruptAfterTimeLimit: 12_000 },
    )
  })
})
