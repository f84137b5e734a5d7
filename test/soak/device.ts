/**
 * One client of a round, with one client id for all its connections. It comes back by itself, at a node of its
 * own choice, until the round lets it go; faults are done to it from outside.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Packet } from '../kit/wire-decoder.ts'
import { encodeSubscribe, encodeUnsubscribe } from '../kit/wire-encoder.ts'
import { DeviceConnection } from './device-connection.ts'
import type { Recorder } from './history.ts'
import type { Link } from './link.ts'
import { Outbox } from './outbox.ts'
import type { DevicePlan } from './plan.ts'
import type { Random } from './random.ts'

/** Where a client can connect just now. */
export interface Doors {
  readonly count: number
  door(index: number): {
    readonly name: string
    readonly port: number
    readonly tlsPort: number
    readonly ca: string
  }
}

export interface DeviceOptions {
  readonly plan: DevicePlan
  readonly recorder: Recorder
  readonly random: Random
  readonly link: Link
  readonly doors: Doors
  readonly wills: boolean
}

const RECONNECT_MIN_MS = 20
const RECONNECT_MAX_MS = 250
const TICK_MS = 25
const OLD_CONNECTIONS_MAX = 4
const END_TIMEOUT_MS = 5_000

export class Device {
  readonly plan: DevicePlan
  readonly #options: DeviceOptions
  readonly #outbox: Outbox
  #current: DeviceConnection | undefined
  /** Taken over, as this client knows; they live until the broker ends them. */
  #old: DeviceConnection[] = []
  #node = 0
  #requests = new Map<number, readonly { readonly filter: string; readonly qos: number }[]>()
  /** Filters with a SUBACK in the session as it is. */
  readonly #granted = new Set<string>()
  #lastRequestId = 30_000
  #retry: NodeJS.Timeout | undefined
  #publishing: NodeJS.Timeout | undefined
  #owed = 0
  #away = true
  #cleanNext = false

  constructor(options: DeviceOptions) {
    this.#options = options
    this.plan = options.plan
    this.#outbox = new Outbox(options.plan, options.recorder)
    this.#node = options.random.integer(0, options.doors.count - 1)
  }

  start(): void {
    this.#away = false
    this.#connect()
  }

  startPublishing(): void {
    const { publishes, messagesPerSecond } = this.plan
    if (publishes.length === 0) return
    let last = performance.now()
    this.#publishing = setInterval(() => {
      const now = performance.now()
      this.#owed = Math.min(this.#owed + ((now - last) * messagesPerSecond) / 1_000, 20)
      last = now
      for (; this.#owed >= 1; this.#owed -= 1)
        if (this.#current?.accepted === true) this.#outbox.publishNext(this.#current)
    }, TICK_MS)
  }

  stopPublishing(): void {
    clearInterval(this.#publishing)
  }

  /** Connected, subscribed, and everything it has published is acknowledged. */
  get settled(): boolean {
    return (
      this.#current?.accepted === true &&
      this.#outbox.waiting === 0 &&
      this.#current.answersWaiting === 0 &&
      this.plan.filters.every(([filter]) => this.#granted.has(filter))
    )
  }

  /** For the message of a failure. */
  describe(): string {
    const missing = this.plan.filters.filter(([filter]) => !this.#granted.has(filter)).length
    return (
      `${this.#current?.accepted === true ? 'connected' : 'not connected'}, ` +
      `${this.#outbox.waiting} publishes and ${missing} SUBACKs open`
    )
  }

  /** Index of the node of the connection that it uses. */
  get node(): number {
    return this.#node
  }

  drop(): void {
    this.#current?.drop()
  }

  stall(): void {
    const connection = this.#current
    if (connection === undefined) return
    this.#note('stall', connection)
    connection.stopReading()
  }

  goOn(): void {
    const connection = this.#current
    if (connection === undefined || connection.closed) return
    this.#note('read', connection)
    connection.goOnReading()
  }

  /** A second connection at another node; the first one is kept, and answers when the second is accepted. */
  async takeOver(shouldDrop: boolean, holdMs: number): Promise<void> {
    const former = this.#current
    if (former === undefined || !former.accepted) return
    former.holding = true
    this.#old = [...this.#old, former].slice(-OLD_CONNECTIONS_MAX)
    this.#node = (this.#node + 1) % this.#options.doors.count
    this.#current = undefined
    const next = this.#connect()
    await this.#until(() => next.accepted || next.closed, 3_000)
    if (shouldDrop) next.holding = true
    // What it says now, it says as a former owner.
    former.answerNow()
    former.holding = false
    if (!shouldDrop) return
    await delay(holdMs)
    next.drop()
  }

  /** Ends the session by a clean CONNECT; the next connection begins a new one. */
  async endSession(): Promise<void> {
    this.#cleanNext = true
    this.#granted.clear()
    this.#current?.disconnect()
    await this.#until(() => !this.#cleanNext, END_TIMEOUT_MS)
  }

  resubscribe(): void {
    const connection = this.#current
    const [first] = this.plan.filters
    if (connection === undefined || !connection.accepted || first === undefined) return
    const [filter, qos] = first
    if (!this.#granted.has(filter)) return
    this.#granted.delete(filter)
    const { recorder } = this.#options
    const facts = { client: this.plan.id, connection: connection.number, filter, qos }
    recorder.record({ kind: 'unsubscribe', ...facts })
    connection.send(encodeUnsubscribe(this.#request([{ filter, qos }]), [filter]))
  }

  /** Ends for good, and its session with it. */
  async leave(): Promise<boolean> {
    this.stopPublishing()
    for (const connection of this.#old) connection.drop()
    await this.endSession()
    const ended = !this.#cleanNext
    this.#away = true
    clearTimeout(this.#retry)
    this.#current?.disconnect()
    await this.#until(() => this.#current === undefined, 1_000)
    return ended
  }

  abort(): void {
    this.#away = true
    this.stopPublishing()
    clearTimeout(this.#retry)
    for (const connection of this.#old) connection.drop()
    this.#current?.drop()
  }

  #connect(): DeviceConnection {
    const { link, doors, recorder, plan, wills } = this.#options
    const door = doors.door(this.#node)
    link.targetPort = plan.tls ? door.tlsPort : door.port
    const clean = plan.clean || this.#cleanNext
    const connection = new DeviceConnection({
      port: link.port,
      ...(plan.tls ? { ca: door.ca } : {}),
      node: door.name,
      recorder,
      clientId: plan.id,
      clean,
      ...(wills && plan.publishes.length > 0
        ? {
            will: {
              topic: `w/${plan.id}`,
              message: `will-${plan.id}:${recorder.now().toFixed(3)}`,
            },
          }
        : {}),
      answerDelayMs: plan.answerDelayMs,
      onPacket: (packet, self) => this.#take(packet, self),
      onClosed: (self) => this.#closed(self),
    })
    this.#current = connection
    return connection
  }

  #closed(connection: DeviceConnection): void {
    this.#old = this.#old.filter((old) => old !== connection)
    if (connection.fault !== undefined) throw connection.fault
    if (connection !== this.#current) return
    this.#current = undefined
    this.#requests.clear()
    if (this.#away) return
    const { random, doors } = this.#options
    this.#retry = setTimeout(
      () => {
        this.#node = random.integer(0, doors.count - 1)
        this.#connect()
      },
      random.between(RECONNECT_MIN_MS, RECONNECT_MAX_MS),
    )
  }

  #take(packet: Packet, connection: DeviceConnection): void {
    if (packet.type === 'connack') {
      if (packet.returnCode === 0) this.#begin(connection, packet.sessionPresent)
      return
    }
    if (packet.type === 'suback')
      this.#acknowledged('suback', packet.packetId, connection, packet.returnCodes)
    else if (packet.type === 'unsuback')
      this.#acknowledged('unsuback', packet.packetId, connection, [])
    else this.#outbox.step(packet, connection, connection === this.#current)
  }

  #begin(connection: DeviceConnection, sessionPresent: boolean): void {
    if (!sessionPresent) this.#granted.clear()
    this.#outbox.resume(connection, sessionPresent)
    if (this.#cleanNext && !this.plan.clean) {
      this.#cleanNext = false
      connection.disconnect()
      return
    }
    this.#cleanNext = false
    this.#subscribe(
      connection,
      this.plan.filters.filter(([filter]) => !this.#granted.has(filter)),
    )
  }

  #subscribe(connection: DeviceConnection, filters: readonly (readonly [string, number])[]): void {
    if (filters.length === 0) return
    for (const [filter, qos] of filters)
      this.#options.recorder.record({
        kind: 'subscribe',
        client: this.plan.id,
        connection: connection.number,
        filter,
        qos,
      })
    const requestId = this.#request(filters.map(([filter, qos]) => ({ filter, qos })))
    connection.send(encodeSubscribe(requestId, filters))
  }

  #acknowledged(
    kind: 'suback' | 'unsuback',
    packetId: number,
    connection: DeviceConnection,
    returnCodes: readonly number[],
  ): void {
    const filters = this.#requests.get(packetId) ?? []
    this.#requests.delete(packetId)
    for (const [index, { filter, qos }] of filters.entries()) {
      const granted = returnCodes[index] ?? qos
      const facts = { client: this.plan.id, connection: connection.number, filter, qos: granted }
      this.#options.recorder.record({ kind, ...facts })
      if (kind === 'suback' && granted !== 0x80) this.#granted.add(filter)
    }
    if (kind === 'unsuback')
      this.#subscribe(
        connection,
        filters.map(({ filter, qos }) => [filter, qos]),
      )
  }

  #request(filters: readonly { readonly filter: string; readonly qos: number }[]): number {
    this.#lastRequestId = this.#lastRequestId >= 60_000 ? 30_000 : this.#lastRequestId + 1
    this.#requests.set(this.#lastRequestId, filters)
    return this.#lastRequestId
  }

  #note(kind: 'stall' | 'read', connection: DeviceConnection): void {
    this.#options.recorder.record({ kind, client: this.plan.id, connection: connection.number })
  }

  async #until(isSo: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!isSo() && performance.now() < deadline) await delay(5)
  }
}
