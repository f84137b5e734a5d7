/**
 * A client that does nothing but what it should: it publishes a message at QoS 1, waits until it is acknowledged and
 * has come back, and goes on with the next one. It has no patience for being closed, and keeps the time of each.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { WireClient, type WireAddress } from '../kit/wire-client.ts'
import type { ConnectFields } from '../kit/wire-encoder.ts'

/** A node that is busy for longer does not count as serving its clients. */
const ANSWER_MS = 60_000
const PAUSE_MS = 10
const TOPIC = 'bystander/beacon'

export interface BystanderOptions {
  readonly publishesAt: WireAddress
  readonly receivesAt: WireAddress
  readonly credentials?: Pick<ConnectFields, 'username' | 'password'>
}

export class Bystander implements AsyncDisposable {
  readonly #publisher: WireClient
  readonly #subscriber: WireClient
  readonly #running: Promise<void>
  #isStopping = false
  #error: Error | undefined
  /** Of each message, in their order: ms from PUBLISH to when it was acknowledged and had come back. */
  readonly roundTripsMs: number[] = []

  private constructor(publisher: WireClient, subscriber: WireClient) {
    this.#publisher = publisher
    this.#subscriber = subscriber
    this.#running = this.#run().catch((error: Error) => {
      this.#error = error
    })
  }

  static async start(options: BystanderOptions): Promise<Bystander> {
    const { publishesAt, receivesAt, credentials = {} } = options
    const open = async (address: WireAddress, clientId: string): Promise<WireClient> => {
      const client = await WireClient.open(address, { timeoutMs: ANSWER_MS })
      const { returnCode } = await client.connect({ clientId, ...credentials })
      if (returnCode !== 0) throw new Error(`the bystander got CONNACK ${returnCode}`)
      return client
    }
    const subscriber = await open(receivesAt, BYSTANDER_ID)
    await subscriber.subscribe([TOPIC, 1])
    return new Bystander(await open(publishesAt, `${BYSTANDER_ID}-sender`), subscriber)
  }

  /** Resolves when this number of further messages was answered. @throws {Error} it was closed, or not answered */
  async more(rounds: number): Promise<void> {
    const target = this.roundTripsMs.length + rounds
    while (this.roundTripsMs.length < target) {
      this.check()
      await delay(PAUSE_MS)
    }
  }

  /** @throws {Error} it was closed, or not answered */
  check(): void {
    if (this.#error !== undefined)
      throw new Error(`the bystander: ${this.#error.message}`, { cause: this.#error })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true
    await this.#running
    await this.#publisher.drop()
    await this.#subscriber.drop()
  }

  async #run(): Promise<void> {
    for (let count = 0; !this.#isStopping; count += 1) {
      const sentAt = performance.now()
      await this.#publisher.publish({ topic: TOPIC, payload: String(count), qos: 1 })
      const [message] = await this.#subscriber.receive(1)
      if (message?.payload.toString() !== String(count)) throw new Error('got another message')
      this.roundTripsMs.push(performance.now() - sentAt)
      await delay(PAUSE_MS)
    }
  }
}

/** As the user `bystander` may have it. */
export const BYSTANDER_ID = 'bystander:beacon'
