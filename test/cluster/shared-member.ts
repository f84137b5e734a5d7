/** A member of a shared subscription that writes down what it gets. */
import { expect } from 'vitest'
import type { TestNode } from '../kit/node.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePuback, encodePubcomp, encodePubrec, type QoS } from '../kit/wire-encoder.ts'
import { unique } from '../conformance/suite.ts'
import { connectAt } from './cluster.ts'

/** Longer than any test. */
const TIMEOUT_MS = 120_000

export interface MemberOptions {
  readonly clientId?: string
  readonly clean?: boolean
  /** Default: it acknowledges what comes. */
  readonly acknowledges?: boolean
}

export class Member {
  readonly client: WireClient
  readonly payloads: string[] = []
  readonly packetIds: number[] = []
  readonly #acknowledges: boolean
  readonly #fence: string
  readonly #reading: Promise<void>
  #fences = 0

  private constructor(client: WireClient, fence: string, acknowledges: boolean) {
    this.client = client
    this.#fence = fence
    this.#acknowledges = acknowledges
    this.#reading = this.#read()
  }

  static async join(
    node: Pick<TestNode, 'host' | 'port'>,
    filter: string,
    qos: QoS,
    { acknowledges = true, ...fields }: MemberOptions = {},
  ): Promise<Member> {
    const client = await connectAt(node, fields, { timeoutMs: TIMEOUT_MS })
    const fence = unique('fence')
    expect(await client.subscribe([filter, qos], [fence, 0])).toEqual([qos, 0])
    return new Member(client, fence, acknowledges)
  }

  /** One that had subscribed before. */
  static async resume(
    node: Pick<TestNode, 'host' | 'port'>,
    clientId: string,
    { acknowledges = true }: MemberOptions = {},
  ): Promise<Member> {
    const client = await connectAt(node, { clientId, clean: false }, { timeoutMs: TIMEOUT_MS })
    return new Member(client, '', acknowledges)
  }

  /** What was published before has come. */
  async settled(publisher: WireClient): Promise<void> {
    const fences = this.#fences + 1
    await publisher.publish({ topic: this.#fence, qos: 1 })
    await expect.poll(() => this.#fences).toBe(fences)
  }

  async leave(): Promise<void> {
    await this.client.disconnect()
    await this.#reading
  }

  /** Without DISCONNECT. */
  async drop(): Promise<void> {
    await this.client.drop()
    await this.#reading
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const packet = await this.client.next('a message')
        if (packet.type === 'publish' && packet.topic === this.#fence) this.#fences += 1
        else if (packet.type === 'publish') {
          this.payloads.push(packet.payload.toString())
          if (packet.qos > 0) this.packetIds.push(packet.packetId)
          if (packet.qos > 0 && this.#acknowledges)
            this.client.send(
              packet.qos === 1 ? encodePuback(packet.packetId) : encodePubrec(packet.packetId),
            )
        } else if (packet.type === 'pubrel') this.client.send(encodePubcomp(packet.packetId))
      }
    } catch {
      // The connection has ended.
    }
  }
}

/** Waits for this number of messages at all members together; returns them in the order of their numbers. */
export async function drainAll(members: readonly Member[], count: number): Promise<string[]> {
  const all = (): string[] => payloadsOf(members)
  await expect.poll(() => all().length).toBeGreaterThanOrEqual(count)
  return all()
}

/** All that came, in the order of their numbers. */
export function payloadsOf(members: readonly Member[]): string[] {
  return members.flatMap(({ payloads }) => payloads).sort((a, b) => Number(a) - Number(b))
}
