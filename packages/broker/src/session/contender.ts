/** What ownership.ts knows of a connection and of its will. */
import type { Message } from '@breakwater/bus'
import type { Owner } from '@breakwater/store'
import type { Account } from './accounts.ts'

/** A connection that wants to be its client. */
export interface Contender {
  readonly clientId: string
  readonly user: string
  readonly persistent: boolean
  /** Whom a session that it makes, or its will, counts for. */
  readonly account: Pick<Account, 'name'> | undefined
  readonly will: Message | undefined
  /** Reads nothing more; resolves when everything received so far has taken effect. */
  finish(): Promise<void>
  /** Ends the connection with `taken-over`; its end comes as `ended`. Nothing if it has ended before. */
  takenOver(): void
}

/** How a connection has ended: nothing to be said, its will is due, or that is left to other nodes. */
export type End = 'left' | 'lost' | 'kept'

/** The will is due, or the client is back elsewhere. */
export type Verdict = 'due' | 'fenced'

/** What becomes of the will of a client whose connection was lost (wills.ts). */
export interface WillDelays {
  /** The client may come back first. Says later, or at once, what is to be done. */
  linger(owner: Owner, say: (verdict: Verdict) => void): void
  /** The same for a will that could not be published. */
  retry(owner: Owner, say: (verdict: Verdict) => void): void
  /** Resolves with whether it is stored everywhere. */
  publish(contender: Contender): Promise<boolean>
}

/** A client whose connection was lost with its node. */
export class Absent implements Contender {
  readonly clientId: string
  readonly user = ''
  readonly persistent = false
  readonly account = undefined
  readonly will: Message

  constructor(clientId: string, will: Message) {
    this.clientId = clientId
    this.will = will
  }

  async finish(): Promise<void> {}

  takenOver(): void {}
}
