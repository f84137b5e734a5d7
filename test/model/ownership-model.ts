/**
 * Nodes that own client ids, over one store and a way between them that a schedule rules: which request, answer
 * or notice goes next, which notice is lost, when time passes. Nothing happens that the schedule does not say.
 */
import { Message, type Bus, type Notice } from '@breakwater/bus'
import {
  MemoryStore,
  type Claimed,
  type ClaimRefusal,
  type ClientClaim,
  type Store,
} from '@breakwater/store'
import { vi } from 'vitest'
import type { Contender, WillDelays } from '../../packages/broker/src/session/contender.ts'
import { Ownership } from '../../packages/broker/src/session/ownership.ts'

export const TAKE_OVER_MS = 1_000
const CLIENT = 'c'
/** More than there are microtasks between two things that the schedule rules. */
const SETTLE_TURNS = 40

interface Task {
  readonly kind: 'store' | 'notice' | 'work'
  readonly run: () => void
  /** A notice that is lost. */
  readonly lose?: () => void
}

interface ClientKind {
  /** It never finishes what it has received. */
  readonly stuck: boolean
  readonly persistent: boolean
  readonly user: string
}

export class ModelClient implements Contender {
  readonly clientId = CLIENT
  readonly user: string
  readonly persistent: boolean
  readonly account = undefined
  readonly will: Message
  readonly node: ModelNode
  readonly stuck: boolean
  open = true
  /** Its own end, not one that it was given. */
  gone = false
  epoch = 0
  granted = false
  settled = false
  /** Its connection was lost, which its will is for. */
  willDue = false
  willPublished = false

  constructor(node: ModelNode, name: string, { stuck, persistent, user }: ClientKind) {
    this.node = node
    this.user = user
    this.persistent = persistent
    this.stuck = stuck
    this.will = new Message(name, Buffer.alloc(0), 1, false)
  }

  finish(): Promise<void> {
    if (this.stuck) return new Promise(() => undefined)
    return this.node.model.later('work', () => undefined)
  }

  takenOver(): void {
    this.#end('lost')
  }

  end(how: 'left' | 'lost'): void {
    this.gone = true
    this.#end(how)
  }

  #end(how: 'left' | 'lost'): void {
    if (!this.open) return
    this.open = false
    const end = this.granted ? how : 'left'
    this.willDue = end === 'lost'
    void this.node.model.later('work', () => this.node.ownership.ended(this, end))
  }
}

export class ModelNode {
  readonly id: string
  readonly model: Model
  readonly ownership: Ownership

  constructor(model: Model, id: string) {
    this.id = id
    this.model = model
    const wills: WillDelays = {
      linger: (_owner, say) => say('due'),
      retry: (_owner, say) => say('due'),
      publish: ({ will }) =>
        model.later('work', () => {
          model.published((will as Message).topic)
          return true
        }),
    }
    this.ownership = new Ownership({
      store: model.store,
      bus: {
        nodeId: id,
        notify: (to: string, notice: Notice) => model.notify(id, to, notice),
      } as Bus,
      wills,
      takeOverTimeoutMs: TAKE_OVER_MS,
      openTimeoutMs: 1_000_000,
      onFault: (_what, error) => {
        throw error
      },
    })
  }
}

export class Model {
  readonly nodes: readonly ModelNode[]
  readonly clients: ModelClient[] = []
  readonly store: Store
  /** Nothing was lost, no time has passed, no node has asked the store: then every former owner is waited for. */
  exact = true
  readonly faults: string[] = []
  /** Of the last opening of the session: what has a lower one is refused. */
  fence = 0
  readonly #memory = new MemoryStore({ queueMessagesMax: 10, queueBytesMax: 10_000 })
  #tasks: Task[] = []

  constructor(nodes: number) {
    const memory = this.#memory
    // What is asked takes effect later than it was asked, and is answered later than it took effect.
    const slow = <T>(work: () => Promise<T>): Promise<T> =>
      this.later('store', work)
        .then((done) => done)
        .then((answer) => this.later('store', () => answer))
    this.store = Object.assign(Object.create(memory) as Store, {
      claimClient: (claim) =>
        slow(() => this.#claiming(memory, claim)).then((claimed) => {
          const client = this.clients.find(({ will }) => will === claim.will)
          if (typeof claimed === 'string') return claimed
          if (client !== undefined) client.epoch = claimed.epoch
          return claimed
        }),
      openSession: (owner, terms) => slow(() => this.#fencing(memory.openSession(owner, terms))),
      leaveClient: (owner) => slow(() => memory.leaveClient(owner)),
      replacedOwners: (owners) => slow(() => memory.replacedOwners(owners)),
      restoreOwners: (clients) => slow(() => memory.restoreOwners(clients)),
    } satisfies Partial<Store>)
    this.nodes = Array.from({ length: nodes }, (_, index) => new ModelNode(this, `node-${index}`))
  }

  /** Resolves with what it gives when the schedule has let it run. */
  later<T>(kind: Task['kind'], work: () => T): Promise<Awaited<T>> {
    return new Promise((resolve) => {
      this.#tasks.push({ kind, run: () => resolve(work() as Awaited<T>) })
    })
  }

  notify(from: string, to: string, notice: Notice): Promise<boolean> {
    return new Promise((resolve) => {
      const run = (): void => {
        if (notice.kind !== 'revocation')
          this.nodes.find(({ id }) => id === to)?.ownership.notice(from, notice)
        resolve(true)
      }
      this.#tasks.push({ kind: 'notice', run, lose: () => resolve(true) })
    })
  }

  connect(node: number, kind: ClientKind): void {
    const at = this.nodes[node % this.nodes.length] as ModelNode
    const client = new ModelClient(at, `${this.clients.length}`, kind)
    this.clients.push(client)
    if (kind.stuck) this.exact = false
    void at.ownership.claim(client).then((outcome) => {
      client.settled = true
      if (outcome === 'another-user') client.end('left')
      if (typeof outcome !== 'object') return
      client.granted = client.open
      if (client.granted) this.#granted(client)
    })
  }

  end(which: number, how: 'left' | 'lost'): void {
    const open = this.clients.filter((client) => client.open)
    open[which % Math.max(1, open.length)]?.end(how)
  }

  /** One of what waits, not only the oldest. */
  async run(which: number): Promise<void> {
    const [task] = this.#tasks.splice(which % Math.max(1, this.#tasks.length), 1)
    task?.run()
    await settle()
  }

  async lose(which: number): Promise<void> {
    const notices = this.#tasks.filter(({ kind }) => kind === 'notice')
    const task = notices[which % Math.max(1, notices.length)]
    if (task === undefined) return
    this.exact = false
    this.#tasks = this.#tasks.filter((other) => other !== task)
    task.lose?.()
    await settle()
  }

  async pass(ms: number): Promise<void> {
    this.exact = false
    await vi.advanceTimersByTimeAsync(ms)
  }

  /** A node that learns of a later owner from the store sends nothing more. */
  resync(): void {
    this.exact = false
    for (const { ownership } of this.nodes) void ownership.resync()
  }

  async flush(): Promise<void> {
    await settle()
    while (this.#tasks.length > 0) await this.run(0)
  }

  published(name: string): void {
    const client = this.clients[Number(name)] as ModelClient
    if (client.willPublished) this.faults.push(`will of ${name} twice`)
    client.willPublished = true
    const newer = this.clients.find((other) => other.granted && other.epoch > client.epoch)
    if (this.exact && newer !== undefined)
      this.faults.push(`will of ${name} behind the words of ${newer.will.topic}`)
  }

  /** No node owns the client id, as far as the store knows. */
  async free(): Promise<boolean> {
    await this.#memory.endSession(CLIENT)
    const claim = { clientId: CLIENT, nodeId: 'nobody', user: 'user', persistent: true }
    const claimed = await this.#memory.claimClient(claim)
    return typeof claimed !== 'string' && claimed.former === undefined
  }

  /** Only a session of another user, or a user without a rival, holds the client id. */
  async #claiming(memory: MemoryStore, claim: ClientClaim): Promise<Claimed | ClaimRefusal> {
    const { sessions } = await memory.counts()
    const claimed = await this.#fencing(memory.claimClient(claim))
    if (claimed === 'another-user' && sessions === 0 && claim.user !== '')
      this.faults.push(`${claim.user} is refused where there is no session`)
    return claimed
  }

  async #fencing<T extends object | string>(answer: Promise<T>): Promise<T> {
    const given = await answer
    const opened = typeof given === 'object' && 'opened' in given ? given.opened : given
    if (typeof opened === 'object' && opened !== null && 'present' in opened)
      this.fence = Math.max(this.fence, (opened as unknown as { epoch: number }).epoch)
    return given
  }

  #granted(client: ModelClient): void {
    if (!this.exact) return
    for (const other of this.clients)
      if (other.epoch > 0 && other.epoch < client.epoch && other.open)
        this.faults.push(`${client.will.topic} was granted before ${other.will.topic} had ended`)
  }
}

/** What does not wait for the schedule happens. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await Promise.resolve()
}
