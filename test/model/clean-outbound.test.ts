/* A clean session: its messages are in memory only, in order, within its window and its bounds. */
import * as fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { describe, expect, it } from 'vitest'
import { CleanOutbound } from '../../packages/broker/src/deliver/clean-outbound.ts'
import { FanOut } from '../../packages/broker/src/deliver/fan-out.ts'
import { createOutboundKit } from './outbound-kit.ts'

type Step =
  | { readonly deliver: QoS }
  | 'acknowledge'
  | 'acknowledge last'
  | 'acknowledge twice'
  | 'turn'
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<Step>({ deliver: 0 }, { deliver: 1 }, { deliver: 2 }) },
    {
      weight: 4,
      arbitrary: fc.constantFrom<Step>('acknowledge', 'acknowledge last', 'acknowledge twice'),
    },
    { weight: 2, arbitrary: fc.constant<Step>('turn') },
  ),
  { maxLength: 80 },
)

interface Bounds {
  readonly inflightMessagesMax: number
  readonly outboundMessagesMax: number
}

async function play(played: readonly Step[], bounds: Bounds): Promise<void> {
  const kit = createOutboundKit()
  const outbound = new CleanOutbound(kit.sink, { ...bounds, outboundBytesMax: 1_000_000 })
  const published: Record<QoS, string[]> = { 0: [], 1: [], 2: [] }
  const received: Record<QoS, string[]> = { 0: [], 1: [], 2: [] }
  /** What the client owes an answer to: packet id and the answer. */
  const owed: { readonly packetId: number; readonly answer: 'puback' | 'pubrec' | 'pubcomp' }[] = []
  const open = new Set<number>()
  let read = 0
  let count = 0
  const take = async (): Promise<void> => {
    await turn()
    for (const packet of kit.packets.slice(read)) {
      read += 1
      if (packet.type === 'pubrel') owed.push({ packetId: packet.packetId, answer: 'pubcomp' })
      if (packet.type !== 'publish') continue
      received[packet.qos].push(String(packet.payload))
      if (packet.qos === 0) continue
      expect(open).not.toContain(packet.packetId)
      open.add(packet.packetId)
      expect(open.size).toBeLessThanOrEqual(bounds.inflightMessagesMax)
      owed.push({ packetId: packet.packetId, answer: packet.qos === 1 ? 'puback' : 'pubrec' })
    }
  }
  const acknowledge = (which: 'first' | 'last', times = 1): void => {
    const next = which === 'first' ? owed.shift() : owed.pop()
    if (next === undefined) return
    if (next.answer !== 'pubrec') open.delete(next.packetId)
    for (let count = 0; count < times; count += 1) outbound.acknowledge(next.answer, next.packetId)
  }
  for (const step of played) {
    if (kit.ends.length > 0) break
    if (step === 'turn') await take()
    else if (step === 'acknowledge') acknowledge('first')
    else if (step === 'acknowledge last') acknowledge('last')
    else if (step === 'acknowledge twice') acknowledge('first', 2)
    else {
      count += 1
      const message = new Message('t', Buffer.from(`${count}`), step.deliver, false)
      published[step.deliver].push(`${count}`)
      outbound.deliver(new FanOut(message), step.deliver)
      expect(outbound.waiting).toBeLessThanOrEqual(bounds.outboundMessagesMax)
    }
  }
  if (kit.ends.length > 0) {
    expect(kit.ends).toEqual(['queue-overflow'])
    expect(outbound.waiting).toBe(bounds.outboundMessagesMax)
    return
  }
  await take()
  while (owed.length > 0) {
    acknowledge('first')
    await take()
  }
  expect(received).toEqual(published)
  expect([outbound.inflight, outbound.waiting]).toEqual([0, 0])
}

describe('a clean session', () => {
  it('gets each message once, in order within its QoS, or is closed with queue-overflow', async () => {
    const bounds = fc.record({
      inflightMessagesMax: fc.integer({ min: 1, max: 5 }),
      outboundMessagesMax: fc.integer({ min: 5, max: 30 }),
    })
    await fc.assert(
      fc.asyncProperty(steps, bounds, async (played, limits) => play(played, limits)),
      { numRuns: 300, interruptAfterTimeLimit: 12_000 },
    )
  })

  it('is closed by an acknowledgement of the other QoS, and ignores an acknowledgement without a message', () => {
    const answers = fc.constantFrom('puback', 'pubrec', 'pubcomp')
    fc.assert(
      fc.property(fc.constantFrom<1 | 2>(1, 2), answers, fc.boolean(), (qos, answer, isOurs) => {
        const kit = createOutboundKit()
        const bounds = { inflightMessagesMax: 2, outboundMessagesMax: 10, outboundBytesMax: 1_000 }
        const outbound = new CleanOutbound(kit.sink, bounds)
        outbound.deliver(new FanOut(new Message('t', Buffer.alloc(1), qos, false)), qos)
        outbound.acknowledge(answer, isOurs ? 1 : 2)
        const isRight = answer === (qos === 1 ? 'puback' : 'pubrec')
        expect(kit.ends).toEqual(isOurs && !isRight ? ['protocol-violation'] : [])
      }),
    )
  })

  it('that is always behind keeps no reference to sent messages', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const kit = createOutboundKit()
    const outbound = new CleanOutbound(kit.sink, {
      inflightMessagesMax: 1,
      outboundMessagesMax: 10,
      outboundBytesMax: 1_000_000,
    })
    const payload = Buffer.alloc(100_000)
    const deliver = (): void => outbound.deliver(new FanOut(new Message('t', payload, 1, false)), 1)
    deliver()
    deliver()
    const heldBytes = async (): Promise<number> => {
      // The memory behind a buffer is freed a little after the buffer itself.
      for (let pass = 0; pass < 3; pass += 1) {
        await turn()
        collectGarbage()
      }
      return process.memoryUsage().arrayBuffers
    }
    const before = await heldBytes()
    for (let packetId = 1; packetId <= 500; packetId += 1) {
      deliver()
      outbound.acknowledge('puback', packetId)
      expect(outbound.waiting).toBe(1)
      await turn()
      kit.forget()
    }
    // 50 MB were sent; one message of 100 KB waits.
    expect((await heldBytes()) - before).toBeLessThan(5_000_000)
  })
})
