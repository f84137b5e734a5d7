/**
 * A device that loses its node and goes to another one, as behind a Service: at once, with the same client id
 * and session. One that publishes sends again, with DUP, what was not acknowledged.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import { WireClient, type WireAddress } from '../kit/wire-client.ts'
import { encodePublish, type WireWill } from '../kit/wire-encoder.ts'

const TIMEOUT_MS = 20_000

interface MovingOptions {
  readonly clientId: string
  readonly clean: boolean
  readonly will: WireWill
  /** Where it goes when it has lost the first one. */
  readonly second: WireAddress
}

export class MovingDevice {
  readonly clientId: string
  /** Payloads that were acknowledged. */
  readonly acknowledged: string[] = []
  /** Resolves when it is connected to the second node. */
  readonly moved: Promise<void>
  readonly #options: MovingOptions
  #client: WireClient | undefined
  #hasMoved: () => void = () => {}

  constructor(options: MovingOptions) {
    this.#options = options
    this.clientId = options.clientId
    this.moved = new Promise((resolve) => {
      this.#hasMoved = resolve
    })
  }

  get client(): WireClient {
    return this.#client as WireClient
  }

  async connect(node: WireAddress): Promise<void> {
    const { clientId, clean, will } = this.#options
    const client = await WireClient.open(node, { timeoutMs: TIMEOUT_MS })
    const { returnCode } = await client.connect({ clientId, clean, will })
    if (returnCode !== 0) throw new Error(`${clientId}: CONNACK ${returnCode}`)
    this.#client = client
  }

  /** Goes to the second node when the first has closed it. */
  async move(): Promise<void> {
    const packets = await this.client.untilClosed()
    if (packets.length > 0) throw new Error(`${this.clientId}: ${packets[0]?.type}`)
    await this.connect(this.#options.second)
    this.#hasMoved()
  }

  /** Publishes 0, 1, 2, …, one at a time, wherever it is connected, until it is told that it is enough. */
  async publish(topic: string, isEnough: () => boolean): Promise<void> {
    for (let number = 0; !isEnough(); number += 1) {
      const payload = `${this.clientId} ${number}`
      const packetId = (number % 65_535) + 1
      let dup = false
      while (
        !(await this.#acknowledges(encodePublish({ topic, payload, qos: 1, packetId, dup })))
      ) {
        dup = true
        await this.connect(this.#options.second)
        this.#hasMoved()
      }
      this.acknowledged.push(payload)
      await immediate()
    }
  }

  /** False where the connection has ended without it. */
  async #acknowledges(frame: Buffer): Promise<boolean> {
    const { client } = this
    try {
      client.send(frame)
      await client.expect('puback')
      return true
    } catch (error) {
      if (client.isClosed) return false
      throw error
    }
  }
}
