/**
 * One client of a round, with one client id for all its connections. It comes back by itself, at a node of its
 * own choice, until the round lets it go; faults are done to it from outside.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Packet } from '../kit/wire-decoder.ts'
import { DeviceConnection } from './device-connection.ts'
import type { Recorder } from './history.ts'
import type { Link } from './link.ts'
import { Outbox } from './outbox.ts'
import type { DevicePlan } from './plan.ts'
import type { Random } from './random.ts'
import { Subscriptions } from './subscriptions.ts'

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
}

const RECONNECT_MIN_MS = 20
const RECONNECT_MAX_MS = 250
const TICK_MS = 25
const OLD_CONNECTIONS_MAX = 4
const END_TIMEOUT_MS = 30_000

export class Device {
  readonly plan: DevicePlan
  readonly #options: DeviceOptions
  readonly #outbox: Outbox
  readonly #subscriptions: Subscriptions
  #current: DeviceConnection | undefined
  /** Taken over, as this client knows; they live until the broker ends them. */
  #old: DeviceConnection[] = []
  #node = 0
  #retry: NodeJS.Timeout | undefined
  #publishing: NodeJS.Timeout | undefined
  #owed = 0
  #away = true
  #cleanNext = false

  constructor(options: DeviceOptions) {
    this.#options = options
    this.plan = options.plan
    this.#outbox = new Outbox(options.plan, options.recorder)
    this.#subscriptions = new Subscriptions(options.plan, options.recorder)
    this.#node = options.random.integer(0, options.doors.count - 1)
  }

  /** `node`: at this one, first. */
  start(node = this.#node): void {
    this.#away = false
    this.#node = node
    this.#connect()
  }

  /** It does not come back when its connection ends. */
  stayAway(): void {
    this.#away = true
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
      this.#subscriptions.missing.length === 0
    )
  }

  /** For the message of a failure. */
  describe(): string {
    return (
      `${this.#current?.accepted === true ? 'connected' : 'not connected'}, ` +
      `${this.#outbox.waiting} publishes and ${this.#subscriptions.missing.length} SUBACKs open`
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
    this.#subscriptions.forget()
    this.#current?.disconnect()
    await this.#until(() => !this.#cleanNext, END_TIMEOUT_MS)
  }

  resubscribe(): void {
    if (this.#current?.accepted === true) this.#subscriptions.renew(this.#current)
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
    const { link, doors, recorder, plan } = this.#options
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
      ...(plan.publishes.length > 0
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
    this.#subscriptions.giveUp()
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
      this.#subscriptions.subscribed(packet.packetId, packet.returnCodes, connection)
    else if (packet.type === 'unsuback')
      this.#subscriptions.unsubscribed(packet.packetId, connection)
    else this.#outbox.step(packet, connection, connection === this.#current)
  }

  #begin(connection: DeviceConnection, sessionPresent: boolean): void {
    if (!sessionPresent) this.#subscriptions.forget()
    this.#outbox.resume(connection, sessionPresent)
    if (this.#cleanNext && !this.plan.clean) {
      this.#cleanNext = false
      connection.disconnect()
      return
    }
    this.#cleanNext = false
    this.#subscriptions.complete(connection)
  }

  #note(kind: 'stall' | 'read', connection: DeviceConnection): void {
    this.#options.recorder.record({ kind, client: this.plan.id, connection: connection.number })
  }

  async #until(isSo: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!isSo() && performance.now() < deadline) await delay(5)
  }
}
