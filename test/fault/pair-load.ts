/**
 * Healthy clients: pairs of one publisher and one subscriber each, at a fixed rate whatever happens (open
 * loop), every message with a number and the time at which it was due. What a fault elsewhere does to them
 * is read from their latencies, which count from the due time, so that a stalled broker cannot hide.
 */
import type { WireAddress } from '../kit/wire-client.ts'
import { encodePuback, encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { PacketFlow } from './packet-flow.ts'

const TICK_MS = 5

export interface PairLoadOptions {
  readonly pairs: number
  readonly messagesPerSecond: number
  readonly payloadBytes: number
  readonly qos: 0 | 1
  /** Topics are this, a slash and the pair's number. */
  readonly topic: string
}

export interface Measured {
  readonly sent: number
  readonly received: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export class PairLoad implements AsyncDisposable {
  readonly #options: PairLoadOptions
  readonly #publishers: PacketFlow[] = []
  readonly #subscribers: PacketFlow[] = []
  /** Messages sent so far, by pair; the number of a message is its pair's count. */
  readonly sent: number[] = []
  #latenciesMs: number[] = []
  #received = 0
  #timer: NodeJS.Timeout | undefined
  #startedAt = 0
  #ticked = 0

  private constructor(options: PairLoadOptions) {
    this.#options = options
  }

  static async start(address: WireAddress, options: PairLoadOptions): Promise<PairLoad> {
    const load = new PairLoad(options)
    for (let pair = 0; pair < options.pairs; pair += 1) await load.#connectPair(address, pair)
    load.#startedAt = performance.now()
    load.#timer = setInterval(() => load.#tick(), TICK_MS)
    return load
  }

  get sentInAll(): number {
    return this.sent.reduce((sum, count) => sum + count, 0)
  }

  /** Pairs whose connections are all open. */
  get connectedPairs(): number {
    return this.#publishers.filter(
      (publisher, pair) => !publisher.isClosed && this.#subscribers[pair]?.isClosed === false,
    ).length
  }

  /** What happens to the pairs while `work` goes on. */
  async during(work: Promise<unknown>): Promise<Measured> {
    this.#latenciesMs = []
    const [sentBefore, receivedBefore] = [this.sentInAll, this.#received]
    await work
    const latencies = this.#latenciesMs.toSorted((a, b) => a - b)
    const quantile = (q: number): number => latencies[Math.floor(q * (latencies.length - 1))] ?? NaN
    return {
      sent: this.sentInAll - sentBefore,
      received: this.#received - receivedBefore,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
    }
  }

  /** Ends the load; resolves when every message has arrived. */
  async finish(timeoutMs = 30_000): Promise<void> {
    clearInterval(this.#timer)
    const [subscriber] = this.#subscribers
    const deadline = performance.now() + timeoutMs
    while (this.#received < this.sentInAll) {
      if (performance.now() > deadline)
        throw new Error(`${this.#received} of ${this.sentInAll} messages of the pairs arrived`)
      await subscriber
        ?.until(() => this.#received >= this.sentInAll, 'the pairs', 50)
        .catch(() => {})
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#publishers, ...this.#subscribers].map((flow) => flow.drop()))
  }

  async #connectPair(address: WireAddress, pair: number): Promise<void> {
    const { topic, qos } = this.#options
    const name = `${topic.replaceAll('/', '-')}-${pair}`
    let isSubscribed = false
    const subscriber = await PacketFlow.connect(
      address,
      { clientId: `${name}s` },
      (packet, flow) => {
        if (packet.type === 'suback') isSubscribed = true
        if (packet.type !== 'publish') return
        this.#received += 1
        this.#latenciesMs.push(performance.now() - packet.payload.readDoubleBE(0))
        if (packet.qos === 1) flow.send(encodePuback(packet.packetId))
      },
    )
    subscriber.send(encodeSubscribe(1, [[`${topic}/${pair}`, qos]]))
    await subscriber.until(() => isSubscribed, 'suback')
    this.#subscribers.push(subscriber)
    this.#publishers.push(await PacketFlow.connect(address, { clientId: `${name}p` }))
    this.sent.push(0)
  }

  #tick(): void {
    const { pairs, messagesPerSecond, payloadBytes, topic, qos } = this.#options
    const due = Math.floor(((performance.now() - this.#startedAt) / 1_000) * messagesPerSecond)
    for (; this.#ticked < due; this.#ticked += 1) {
      const pair = this.#ticked % pairs
      const number = (this.sent[pair] ?? 0) + 1
      this.sent[pair] = number
      const payload = Buffer.alloc(payloadBytes)
      payload.writeDoubleBE(this.#startedAt + (this.#ticked / messagesPerSecond) * 1_000, 0)
      payload.writeUInt32BE(number, 8)
      const packetId = ((number - 1) % 65_535) + 1
      this.#publishers[pair]?.send(
        encodePublish({
          topic: `${topic}/${pair}`,
          payload,
          qos,
          ...(qos > 0 ? { packetId } : {}),
        }),
      )
    }
  }
}

/** The number of a message of a pair. */
export function messageNumber(payload: Buffer): number {
  return payload.readUInt32BE(8)
}
