/**
 * A look into the queues of all persistent sessions of this node: messages may have come there without a word.
 *
 * In: `start`. Out: reads of queues. Bound: SESSIONS_PER_STEP sessions every STEP_MS, so that Redis, which all nodes
 * ask at the same time, has room for others. Who asks while it is under way has another one behind it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Message } from '@breakwater/bus'
import { FanOut } from '../deliver/fan-out.ts'
import type { Session } from './session.ts'

/** Stands for messages that another node may have put into a queue and told of in vain. */
export const UNSEEN: FanOut = new FanOut(new Message('', Buffer.alloc(0), 1, false))

const SESSIONS_PER_STEP = 500
const STEP_MS = 50

export class QueueLook {
  readonly #sessions: ReadonlyMap<string, Session>
  #running = false
  #again = false

  constructor(sessions: ReadonlyMap<string, Session>) {
    this.#sessions = sessions
  }

  start(): void {
    if (this.#running) this.#again = true
    else void this.#run()
  }

  async #run(): Promise<void> {
    this.#running = true
    do {
      this.#again = false
      const persistent = [...this.#sessions.values()].filter((session) => session.persistent)
      for (const [index, { outbound }] of persistent.entries()) {
        // One that has ended meanwhile reads nothing.
        outbound.queued(0, UNSEEN, 1)
        if ((index + 1) % SESSIONS_PER_STEP === 0) await delay(STEP_MS, undefined, { ref: false })
      }
    } while (this.#again)
    this.#running = false
  }
}
