/**
 * The control side of one connection, from its CONNECT on: frames go to aedes, what aedes answers is
 * completed and goes to the client.
 *
 * A SUBACK or UNSUBACK is held until the filters are in the store and in the tables of this node; CONNACK
 * until the session is open and its filters are programmed. One control packet at a time: `busy`.
 */
import { Message } from '@breakwater/bus'
import type { Counter } from '@breakwater/metrics'
import type { StoredSubscription } from '@breakwater/store'
import type { Refused } from '../auth/answer.ts'
import type { Connection } from '../connection/connection.ts'
import type { Eviction } from '../connection/eviction.ts'
import type { Admitted, Login } from '../auth/access-control.ts'
import { Hold } from '../connection/hold.ts'
import {
  type ConnectFrame,
  encodeConnect,
  encodeSuback,
  encodeSubscribe,
  encodeUnsubscribe,
  PacketType,
  encodeConnack,
  type SubscribeFrame,
  type UnsubscribeFrame,
} from '@breakwater/mqtt'
import type { Contender } from '../session/contender.ts'
import type { Account } from '../session/accounts.ts'
import type { Session } from '../session/session.ts'
import type { ControlClient } from './aedes-broker.ts'
import { ControlRate, type ControlRateLimits } from './control-rate.ts'
import { ControlStream, type StreamOwner } from './control-stream.ts'

/** The steps of a CONNECT (lifecycle/connect.ts); the control plane only knows when. */
export interface ConnectSteps {
  authenticate(connection: Connection, login: Login): Promise<Admitted | Refused>
  /** Claims the client id and opens its session; undefined if the connection ended meanwhile. */
  openSession(client: ClientControl, admitted: Admitted): Promise<PendingSession | undefined>
  /** Whether what let it in has ended, or changed, while it waited for its session. */
  refusalNow(
    connection: Connection,
    admitted: Admitted,
    pending: PendingSession,
  ): Eviction | undefined
}

/** The steps of a SUBSCRIBE and an UNSUBSCRIBE (lifecycle/subscriptions.ts). */
interface SubscribeSteps {
  /** Which of the requests of a SUBSCRIBE are granted. */
  decide(session: Session, requests: SubscribeFrame['requests']): Promise<Decided>
  /**
   * Puts filters into the tables; resolves when they are in force, with what starts the replay of their
   * retained messages.
   */
  subscribed(session: Session, subscriptions: readonly StoredSubscription[]): Promise<() => void>
  unsubscribed(session: Session, filters: readonly string[]): Promise<void>
}

export interface ControlHost {
  readonly connect: ConnectSteps
  readonly subscriptions: SubscribeSteps
  readonly rate: ControlRateLimits
  /** How often one has used up its rate. */
  readonly ratePauses: Counter
  readonly unexpected: (what: string, error: unknown) => void
}

export interface Decided {
  /** For SUBACK, one for each request. */
  readonly codes: readonly number[]
  /** Each filter once, with the QoS that was asked for last. */
  readonly granted: readonly StoredSubscription[]
}

export interface PendingSession {
  readonly present: boolean
  readonly subscriptions: readonly StoredSubscription[]
  /** Whether the store may have lost it since it was opened. */
  readonly isLost: () => boolean
  /** Makes the session live; called when CONNACK has been written. */
  start(): Session
}

const NO_LOGIN = { username: undefined, password: undefined } as const

interface PendingSubscribe extends Decided {
  readonly packetId: number
}

/** So many filters aedes sees at once; the others follow in later turns of the event loop. */
const PORTION = 100

export class ClientControl implements StreamOwner, Contender {
  readonly connection: Connection
  readonly persistent: boolean
  readonly clientId: string
  readonly will: Message | undefined
  session: Session | undefined
  /** That it counts for, from the moment at which it is known. */
  account: Account | undefined
  /** A control packet has effects under way. */
  busy = true
  readonly rate: ControlRate
  /** Resolves when the connection has ended and aedes is done with it. */
  readonly ended: Promise<void>
  readonly #host: ControlHost
  readonly #stream: ControlStream
  readonly #client: ControlClient
  /** What the client has shown, until it is asked about. */
  #login: Omit<Login, 'willTopic'>
  #admitted: Admitted | undefined
  #pending: PendingSession | undefined
  #subscribing: PendingSubscribe | undefined
  #unsubscribing: UnsubscribeFrame | undefined
  /** Filters of the packet under way that aedes has seen. */
  #seen = 0
  #end: () => void = () => {}

  constructor(
    connection: Connection,
    frame: ConnectFrame,
    host: ControlHost,
    handle: (stream: ControlStream) => ControlClient,
  ) {
    this.connection = connection
    this.persistent = !frame.clean
    const { will } = frame
    this.will = will && new Message(will.topic, will.payload, will.qos, will.retain)
    this.clientId = frame.clientId
    this.#login = { username: frame.username, password: frame.password }
    this.#host = host
    this.rate = new ControlRate(connection, host.rate, host.ratePauses)
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#stream = new ControlStream(this)
    this.#client = handle(this.#stream)
    this.#stream.push(encodeConnect(frame.clientId, frame.clean))
  }

  /** The answer to aedes' question whether this client may connect: what it had subscribed to, if it may. */
  async authenticate(): Promise<readonly StoredSubscription[] | undefined> {
    const { connection } = this
    let admitted: Admitted
    try {
      const login = { ...this.#login, willTopic: this.will?.topic }
      this.#login = NO_LOGIN
      const answer = await this.#host.connect.authenticate(connection, login)
      if ('refused' in answer) {
        connection.close(answer.refused, answer.detail)
        return undefined
      }
      admitted = answer
      connection.user = answer.user
      if (answer.expiresAt !== undefined) connection.expire(answer.expiresAt, 'login-expired')
    } catch (error) {
      this.#defect(error as Error, 'authentication')
      return undefined
    }
    try {
      this.#admitted = admitted
      this.#pending = await this.#host.connect.openSession(this, admitted)
      return this.#pending?.subscriptions
    } catch (error) {
      connection.close('store-unavailable', (error as Error).message)
      return undefined
    }
  }

  get user(): string {
    return this.connection.user
  }

  subscribe({ packetId, requests }: SubscribeFrame): void {
    this.busy = true
    this.#host.subscriptions.decide(this.session as Session, requests).then(
      (decided) => {
        if (!this.connection.open) return
        this.#subscribing = { packetId, ...decided }
        this.#seen = 0
        this.#showSubscribe()
      },
      (error: unknown) => {
        this.#defect(error as Error, 'SUBSCRIBE')
      },
    )
  }

  unsubscribe({ packetId, filters }: UnsubscribeFrame): void {
    const session = this.session as Session
    const known = new Set(filters.filter((filter) => session.filters.has(filter)))
    this.#unsubscribing = { packetId, filters: [...known] }
    this.busy = true
    this.#seen = 0
    this.#showUnsubscribe()
  }

  /** What is refused is not shown to aedes, so it cannot be stored. */
  #showSubscribe(): void {
    const { packetId, granted } = this.#subscribing as PendingSubscribe
    const portion = this.#nextPortion(granted)
    if (portion.length === 0) void this.#completeSubscribe()
    else this.#stream.push(encodeSubscribe(packetId, portion))
  }

  #showUnsubscribe(): void {
    const { packetId, filters } = this.#unsubscribing as UnsubscribeFrame
    const portion = this.#nextPortion(filters)
    if (portion.length === 0) void this.#completeUnsubscribe()
    else this.#stream.push(encodeUnsubscribe(packetId, portion))
  }

  #nextPortion<T>(all: readonly T[]): readonly T[] {
    const portion = all.slice(this.#seen, this.#seen + PORTION)
    this.#seen += portion.length
    return portion
  }

  /** aedes has seen a portion; another one follows in a later turn. */
  #shown(filters: number, complete: () => Promise<void>, show: () => void): void {
    if (this.#seen >= filters) void complete()
    else
      setImmediate(() => {
        if (this.connection.open) show()
      })
  }

  finish(): Promise<void> {
    this.connection.hold(Hold.CONTROL)
    return this.session?.lane.drained() ?? Promise.resolve()
  }

  takenOver(): void {
    this.connection.close('taken-over')
  }

  /** The connection has ended. */
  close(): void {
    this.#client.close(() => this.#end())
  }

  /** aedes has destroyed its side. */
  destroyed(error: Error | null): void {
    if (this.connection.open) this.#defect(error ?? new Error('ended by the control plane'))
  }

  /** What aedes answers. */
  reply(reply: Buffer): void {
    switch ((reply[0] as number) >> 4) {
      case PacketType.CONNACK:
        if (reply[3] === 0) this.#accept()
        else this.#defect(new Error(`CONNACK ${reply[3]} from the control plane`))
        return
      case PacketType.SUBACK:
        this.#shown(
          this.#subscribing?.granted.length ?? 0,
          () => this.#completeSubscribe(),
          () => this.#showSubscribe(),
        )
        return
      case PacketType.UNSUBACK:
        this.#shown(
          this.#unsubscribing?.filters.length ?? 0,
          () => this.#completeUnsubscribe(),
          () => this.#showUnsubscribe(),
        )
        return
      default:
        this.#host.unexpected(
          'control plane',
          new Error(`packet type ${(reply[0] as number) >> 4}`),
        )
    }
  }

  #accept(): void {
    const pending = this.#pending
    const admitted = this.#admitted
    this.#pending = undefined
    this.#admitted = undefined
    if (pending === undefined || admitted === undefined || !this.connection.open) return
    const refusal = this.#host.connect.refusalNow(this.connection, admitted, pending)
    if (refusal !== undefined) {
      this.connection.close(refusal.reason, refusal.detail)
      return
    }
    this.connection.writer.write(encodeConnack(0, pending.present))
    this.connection.letIn()
    this.session = pending.start()
    this.#settled()
  }

  async #completeSubscribe(): Promise<void> {
    const { packetId, codes, granted } = this.#subscribing as PendingSubscribe
    const session = this.session as Session
    this.#subscribing = undefined
    const replay = await this.#effective(async () =>
      this.#host.subscriptions.subscribed(session, granted),
    )
    if (!this.connection.open) return
    session.sink.frame(encodeSuback(packetId, codes))
    replay?.()
    this.#settled()
  }

  async #completeUnsubscribe(): Promise<void> {
    const { packetId, filters } = this.#unsubscribing as UnsubscribeFrame
    const session = this.session as Session
    this.#unsubscribing = undefined
    await this.#effective(async () => this.#host.subscriptions.unsubscribed(session, filters))
    if (!this.connection.open) return
    session.sink.packetId(PacketType.UNSUBACK, packetId)
    this.#settled()
  }

  /** Effects that cannot be had end the connection: the client subscribes again when it is back. */
  async #effective<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.connection.close('store-unavailable', (error as Error).message)
      return undefined
    }
  }

  /** The line of the close has no room for a stack: one before it has it. */
  #defect(error: Error, what = 'control plane'): void {
    this.#host.unexpected(what, error)
    this.connection.close('internal-error', error.message)
  }

  #settled(): void {
    this.busy = false
    this.connection.release(Hold.CONTROL)
  }
}
