import type { AccessRules, ClientAccess } from './access-rules.ts'
import type { Identity } from './identity.ts'

/** What one connected client may do, by the rules of now. */
export class Permissions {
  readonly #identity: Identity
  readonly #willTopic: string | undefined
  #rules: AccessRules
  #access: ClientAccess
  /** Rises when the rules change: whoever remembers an answer asks again. */
  version = 1

  constructor(identity: Identity, rules: AccessRules, willTopic?: string) {
    this.#identity = identity
    this.#willTopic = willTopic
    this.#rules = rules
    this.#access = rules.of(identity)
  }

  renew(rules: AccessRules): void {
    if (rules === this.#rules) return
    this.#rules = rules
    this.#access = rules.of(this.#identity)
    this.version += 1
  }

  /** The topic of a will that it may not publish, or undefined. */
  get deniedWill(): string | undefined {
    const topic = this.#willTopic
    return topic === undefined || this.publish(topic) ? undefined : topic
  }

  publish(topic: string): boolean {
    return this.#access.publish(topic).allowed
  }

  subscribe(filter: string): boolean {
    return this.#access.subscribe(filter).allowed
  }
}
