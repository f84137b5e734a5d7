import type { Message } from '@breakwater/bus'
import type { AdoptedClient, ClientClaim, FormerOwner, HeldClient, Owner } from '../store.ts'

const CHUNK = 1_000

interface OwnerRecord {
  readonly nodeId: string
  readonly epoch: number
  readonly user: string
  readonly will: Message | undefined
}

/** Who has which client id, in memory: a record per connected client. */
export class MemoryOwners {
  readonly #records = new Map<string, OwnerRecord>()
  #epoch = 0

  has(clientId: string): boolean {
    return this.#records.has(clientId)
  }

  userOf(clientId: string): string | undefined {
    return this.#records.get(clientId)?.user
  }

  nodeOf(clientId: string): string | undefined {
    return this.#records.get(clientId)?.nodeId
  }

  owns({ clientId, epoch }: Owner): boolean {
    return this.#records.get(clientId)?.epoch === epoch
  }

  claim({ clientId, nodeId, user, will }: ClientClaim): {
    readonly epoch: number
    readonly former?: FormerOwner
  } {
    const before = this.#records.get(clientId)
    const epoch = this.#nextEpoch()
    this.#records.set(clientId, { nodeId, epoch, user, will: will?.detached() })
    if (before === undefined) return { epoch }
    return { epoch, former: { nodeId: before.nodeId, epoch: before.epoch } }
  }

  /** Whether it was the owner. */
  leave(owner: Owner): boolean {
    return this.owns(owner) && this.#records.delete(owner.clientId)
  }

  replaced(owners: readonly Owner[]): readonly Owner[] {
    return owners.flatMap(({ clientId, epoch }) => {
      const record = this.#records.get(clientId)
      return record === undefined || record.epoch <= epoch
        ? []
        : [{ clientId, epoch: record.epoch }]
    })
  }

  restore({ clientId, nodeId, epoch, user, will }: HeldClient): void {
    if (this.#records.has(clientId)) return
    this.#records.set(clientId, { nodeId, epoch, user, will: will?.detached() })
  }

  *adopt(departedNodeId: string | undefined, byNodeId: string): Iterable<readonly AdoptedClient[]> {
    let chunk: AdoptedClient[] = []
    for (const [clientId, { nodeId, user, will }] of this.#records) {
      if (nodeId !== departedNodeId) continue
      if (will === undefined) {
        this.#records.delete(clientId)
        continue
      }
      const epoch = this.#nextEpoch()
      this.#records.set(clientId, { nodeId: byNodeId, epoch, user, will })
      chunk.push({ owner: { clientId, epoch }, will })
      if (chunk.length < CHUNK) continue
      yield chunk
      chunk = []
    }
    if (chunk.length > 0) yield chunk
  }

  clear(): void {
    this.#records.clear()
  }

  #nextEpoch(): number {
    this.#epoch += 1
    return this.#epoch
  }
}
