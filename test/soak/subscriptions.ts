/** What one client subscribes to: asked for where the session does not have it, and written down. */
import { encodeSubscribe, encodeUnsubscribe } from '../kit/wire-encoder.ts'
import type { DeviceConnection } from './device-connection.ts'
import type { Recorder } from './history.ts'
import type { DevicePlan } from './plan.ts'

type Filter = DevicePlan['filters'][number]

/** Apart from those of publishes, which count from 1. */
const REQUEST_ID_MIN = 30_000
const REQUEST_ID_MAX = 60_000
const REFUSED = 0x80

export class Subscriptions {
  readonly #plan: DevicePlan
  readonly #recorder: Recorder
  /** Filters with a SUBACK in the session as it is. */
  readonly #granted = new Set<string>()
  readonly #requests = new Map<number, readonly Filter[]>()
  #lastRequestId = REQUEST_ID_MIN

  constructor(plan: DevicePlan, recorder: Recorder) {
    this.#plan = plan
    this.#recorder = recorder
  }

  get missing(): readonly Filter[] {
    return this.#plan.filters.filter(([filter]) => !this.#granted.has(filter))
  }

  /** The session is gone, and they with it. */
  forget(): void {
    this.#granted.clear()
  }

  /** No answer will come any more. */
  giveUp(): void {
    this.#requests.clear()
  }

  /** Asks for what the session does not have. */
  complete(connection: DeviceConnection): void {
    this.#subscribe(connection, this.missing)
  }

  /** Of its first filter, which is asked for again when it is gone. */
  renew(connection: DeviceConnection): void {
    const [first] = this.#plan.filters
    if (first === undefined || !this.#granted.delete(first[0])) return
    this.#line('unsubscribe', connection, first)
    connection.send(encodeUnsubscribe(this.#request([first]), [first[0]]))
  }

  subscribed(
    requestId: number,
    returnCodes: readonly number[],
    connection: DeviceConnection,
  ): void {
    for (const [index, [filter, asked]] of this.#answered(requestId).entries()) {
      const granted = returnCodes[index] ?? asked
      this.#line('suback', connection, [filter, granted])
      if (granted !== REFUSED) this.#granted.add(filter)
    }
  }

  unsubscribed(requestId: number, connection: DeviceConnection): void {
    const filters = this.#answered(requestId)
    for (const filter of filters) this.#line('unsuback', connection, filter)
    this.#subscribe(connection, filters)
  }

  #subscribe(connection: DeviceConnection, filters: readonly Filter[]): void {
    if (filters.length === 0) return
    for (const filter of filters) this.#line('subscribe', connection, filter)
    connection.send(encodeSubscribe(this.#request(filters), filters))
  }

  #request(filters: readonly Filter[]): number {
    const isLast = this.#lastRequestId === REQUEST_ID_MAX
    this.#lastRequestId = isLast ? REQUEST_ID_MIN : this.#lastRequestId + 1
    this.#requests.set(this.#lastRequestId, filters)
    return this.#lastRequestId
  }

  #answered(requestId: number): readonly Filter[] {
    const filters = this.#requests.get(requestId) ?? []
    this.#requests.delete(requestId)
    return filters
  }

  #line(
    kind: 'subscribe' | 'suback' | 'unsubscribe' | 'unsuback',
    { number: connection }: DeviceConnection,
    [filter, qos]: readonly [string, number],
  ): void {
    this.#recorder.record({ kind, client: this.#plan.id, connection, filter, qos })
  }
}
