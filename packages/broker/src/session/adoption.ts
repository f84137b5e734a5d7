/**
 * The clients of nodes that are gone come to this one: their wills are published, unless they are back.
 *
 * In: nodes that are gone, one at a time. Out: their clients, to ownership.ts. Bounds: those of one chunk of the
 * store at a time; the clients that Redis gave to this node while the answer was lost are looked for each
 * ADOPT_AGAIN_MS until there is an answer, or the node stops.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '@breakwater/store'
import type { Events } from '../observe/events.ts'
import type { Ownership } from './ownership.ts'

const ADOPT_AGAIN_MS = 1_000

export interface AdoptionOptions {
  readonly store: Store
  readonly nodeId: string
  readonly ownership: Ownership
  readonly events: Events
}

export class Adoption {
  readonly #options: AdoptionOptions
  #underWay = 0
  /** Redis may have given clients to this node whose names were lost on the way. */
  #unheard = false
  #lookingAgain = false
  #stopping = false

  constructor(options: AdoptionOptions) {
    this.#options = options
  }

  /** The node stops. Returns whether the store may have, or get, clients that are this node's by adoption. */
  stop(): boolean {
    this.#stopping = true
    return this.#underWay > 0 || this.#unheard
  }

  /** `calledOff`: the node is back, and what it still has is its own. @throws {Error} as the node stops, or without an answer */
  async adopt(departedNodeId: string, calledOff: AbortSignal): Promise<void> {
    // Who are given to this node now would be found by nobody.
    if (this.#stopping) throw new Error('the node stops')
    try {
      await this.#adopt(departedNodeId, calledOff)
    } catch (error) {
      this.#unheard = true
      if (!this.#lookingAgain) void this.#lookAgain()
      throw error
    }
  }

  /** Nobody else looks for them. What goes unheard meanwhile may be where this has looked already. */
  async #lookAgain(): Promise<void> {
    this.#lookingAgain = true
    while (this.#unheard && !this.#stopping) {
      await delay(ADOPT_AGAIN_MS, undefined, { ref: false })
      this.#unheard = false
      try {
        await this.#adopt(undefined)
      } catch (error) {
        this.#unheard = true
        this.#options.events.storeFailed('clients of a departed node', error as Error)
      }
    }
    this.#lookingAgain = false
  }

  async #adopt(departedNodeId: string | undefined, calledOff?: AbortSignal): Promise<void> {
    const { store, nodeId, ownership, events } = this.#options
    let wills = 0
    this.#underWay += 1
    try {
      for await (const clients of store.adoptClients(departedNodeId, nodeId)) {
        wills += await ownership.adopt(clients)
        if (calledOff?.aborted === true) break
      }
    } finally {
      this.#underWay -= 1
    }
    if (departedNodeId !== undefined || wills > 0) events.clientsAdopted(departedNodeId, wills)
  }
}
