/**
 * What the nodes of a cluster know of each other: who lives, which filters each one has subscribers for, and
 * which stored sessions have changed their filters. All of it is one log with a version, so that a node can
 * say how far it knows, and a subscriber can be told that everybody knows.
 */
import type { NodeEntry } from './node-facts.ts'

export type Done = (error?: Error) => void

/** One change, or several of one event-loop turn, by one node. */
export interface Change {
  /** Filters that this node has subscribers for. */
  readonly added?: readonly string[]
  /** Client ids of stored sessions whose filters are to be read from the store again. */
  readonly sessions?: readonly string[]
  /** Filters of a stored session that have come or gone: of it they alone are read again. */
  readonly changed?: ChangedFilters
}

/** Of one stored session. */
export interface ChangedFilters {
  readonly clientId: string
  readonly filters: readonly string[]
}

/**
 * How a node comes to have no routes: by its own word; by that of the others, and then it may have stored what it
 * told nobody; or they are about to be told again.
 */
export type Departure = 'left' | 'died' | 'told-again'

/** What a node does with what it learns. */
export interface ClusterHandler {
  /** The filters of a node changed. */
  routes(nodeId: string, added: readonly string[], removed: readonly string[]): void
  /** The routes of a node are gone. */
  left(nodeId: string, how: Departure): void
  /** Resolves when the filters of these stored sessions have been read from the store. */
  sessionsChanged(clientIds: readonly string[]): Promise<void>
  /** The same of these filters; their sessions may have others. */
  filtersChanged(changed: readonly ChangedFilters[]): Promise<void>
  /** Resolves when the store has been asked which of these topics have a retained message now. */
  topicsChanged(topics: readonly string[]): Promise<void>
  /**
   * Changes were missed, or it is the start: resolves when all stored sessions and all topics of retained
   * messages have been read.
   */
  load(): Promise<void>
  /** Tells a node how far this one knows. */
  confirm(nodeId: string, version: number): void
  /**
   * A node is gone and has left clients behind: resolves when they are dealt with. One node at a time; it comes
   * again, here or elsewhere, where this rejects or takes this process with it. `calledOff`: it is back, and those
   * that it still has are its own.
   */
  adopt(nodeId: string, calledOff: AbortSignal): Promise<void>
  /** Redis knew nothing of this node: it was taken for dead, or all was lost. What was said of it is said again. */
  forgotten(): void
  /** Another server answers, or the same one after a restart: it may have lost what it had acknowledged. */
  storeReplaced(): void
  /** Others took this node for dead: what they published since then has not been sent here. */
  leaseLost(): void
  /** What was said again is known to every node that acts: until now it may have told this one nothing. */
  heard(): void
}

export interface Cluster extends AsyncDisposable {
  /** Resolves when this node is a member and knows everything. */
  start(handler: ClusterHandler): Promise<void>
  /** Ids of the other nodes that live. */
  readonly others: readonly string[]
  /** All nodes that live, this one too, with what each said last. @throws {Error} Redis does not answer */
  nodes(): Promise<readonly NodeEntry[]>
  /** ms since the epoch, by the clock that all nodes go by when something expires. */
  now(): number
  /** Whether this node knows every filter whose subscriber has been told that it is in force. */
  readonly confirmed: boolean
  /** Calls back once `confirmed`; with an error if that takes longer than the time-out. */
  whenConfirmed(done: Done): void
  /**
   * Resolves when no node acknowledges a message any more without knowing this change. Filters that were
   * announced before cost nothing.
   *
   * @throws {Error} Redis did not take it within the time-out
   */
  announce(change: Change): Promise<void>
  /** These filters have no subscriber here any more; nobody waits for that. */
  withdraw(removed: readonly string[]): void
  /**
   * The retained messages of these topics have come or gone. Calls back when that is in the log and known
   * here; other nodes may still have to read it (`whenCaughtUp`). With an error if Redis did not take it
   * within the time-out.
   */
  announceTopics(topics: readonly string[], done: Done): void
  /**
   * Calls back when this node knows everything that was in the log at the time of the call; with an error if
   * that takes longer than the time-out.
   */
  whenCaughtUp(done: Done): void
  /** This node will leave clients behind: others adopt them so long after it has left. */
  leaveBehind(adoptAfterMs: number): void
  /** Another node knows everything up to this version. */
  confirmedBy(nodeId: string, version: number): void
}

/** One node, which knows everything there is to know. */
export class SoloCluster implements Cluster {
  readonly others: readonly string[] = []
  readonly confirmed = true

  readonly #entry: () => NodeEntry
  #handler: ClusterHandler | undefined

  constructor(entry: () => NodeEntry) {
    this.#entry = entry
  }

  async nodes(): Promise<readonly NodeEntry[]> {
    return [this.#entry()]
  }

  async start(handler: ClusterHandler): Promise<void> {
    this.#handler = handler
    await handler.load()
  }

  now(): number {
    return Date.now()
  }

  whenConfirmed(done: Done): void {
    done()
  }

  async announce(): Promise<void> {}

  withdraw(): void {}

  announceTopics(topics: readonly string[], done: Done): void {
    const handler = this.#handler as ClusterHandler
    handler.topicsChanged(topics).then(() => done(), done)
  }

  whenCaughtUp(done: Done): void {
    done()
  }

  leaveBehind(): void {}

  confirmedBy(): void {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
