/**
 * Sets of nodes, each kept once and named by a number, so that a table of a million filters can say
 * in four bytes which nodes want each of them.
 *
 * A set is as old as its first holder and goes with its last: who holds one trades it for the set
 * with one node more or less, and that is the only way to get at a set. A trade that was made before
 * is one Map lookup. It is remembered at both its ends, because the same node leads back; so the set
 * that goes can strike itself out wherever it is mentioned, and its number may be used again.
 *
 * Bounds: never more sets than holders. Many nodes that want much the same make few sets.
 */

/** The set without nodes; nobody needs to hold it. */
export const EMPTY_SET = 0

interface NodeSet {
  readonly id: number
  /** The codes of its nodes, ascending, one per character: equal for equal sets. */
  readonly key: string
  /** In the order of the codes. */
  readonly nodes: readonly string[]
  /** The sets that differ from this one by that node. */
  readonly neighbours: Map<string, NodeSet>
  holders: number
}

interface KnownNode {
  readonly nodeId: string
  readonly code: number
  /** Sets that it is in. */
  sets: number
}

const EMPTY: readonly string[] = Object.freeze([])

export class NodeSets {
  readonly #sets: (NodeSet | undefined)[] = [
    { id: EMPTY_SET, key: '', nodes: EMPTY, neighbours: new Map(), holders: 0 },
  ]
  readonly #freeIds: number[] = []
  readonly #byKey = new Map<string, NodeSet>()
  readonly #known = new Map<string, KnownNode>()
  readonly #byCode: (KnownNode | undefined)[] = []
  readonly #freeCodes: number[] = []

  /** Sets that somebody holds. */
  get size(): number {
    return this.#byKey.size
  }

  /** Whether any set has this node. */
  knows(nodeId: string): boolean {
    return this.#known.has(nodeId)
  }

  /** The nodes of a set; the array is shared and must not be changed. */
  nodesOf(id: number): readonly string[] {
    return this.#sets[id]!.nodes
  }

  has(id: number, nodeId: string): boolean {
    return this.#sets[id]!.nodes.includes(nodeId)
  }

  /** A holder of this set, which the node is not in, gives it back for the one with the node. */
  add(id: number, nodeId: string): number {
    return this.#trade(this.#sets[id]!, nodeId)
  }

  /** A holder of this set, which the node is in, gives it back for the one without the node. */
  delete(id: number, nodeId: string): number {
    return this.#trade(this.#sets[id]!, nodeId)
  }

  #trade(from: NodeSet, nodeId: string): number {
    let to = from.neighbours.get(nodeId)
    if (to === undefined) {
      to = this.#toggled(from, nodeId)
      from.neighbours.set(nodeId, to)
      to.neighbours.set(nodeId, from)
    }
    if (to.id !== EMPTY_SET) to.holders++
    if (from.id !== EMPTY_SET && --from.holders === 0) this.#free(from)
    return to.id
  }

  /** The set that has this node exactly if the other has not. */
  #toggled({ key, nodes }: NodeSet, nodeId: string): NodeSet {
    const at = nodes.indexOf(nodeId)
    if (at !== -1) return this.#setOf(key.slice(0, at) + key.slice(at + 1))
    const { code } = this.#known.get(nodeId) ?? this.#open(nodeId)
    let place = 0
    while (place < key.length && key.charCodeAt(place) < code) place++
    return this.#setOf(key.slice(0, place) + String.fromCharCode(code) + key.slice(place))
  }

  #setOf(key: string): NodeSet {
    const known = key === '' ? this.#sets[EMPTY_SET] : this.#byKey.get(key)
    if (known !== undefined) return known
    const nodes: string[] = []
    for (let at = 0; at < key.length; at++) {
      const node = this.#byCode[key.charCodeAt(at)]!
      node.sets++
      nodes.push(node.nodeId)
    }
    const id = this.#freeIds.pop() ?? this.#sets.length
    const set = { id, key, nodes: Object.freeze(nodes), neighbours: new Map(), holders: 0 }
    this.#sets[id] = set
    this.#byKey.set(key, set)
    return set
  }

  #free(set: NodeSet): void {
    for (const [nodeId, neighbour] of set.neighbours) neighbour.neighbours.delete(nodeId)
    this.#byKey.delete(set.key)
    this.#sets[set.id] = undefined
    this.#freeIds.push(set.id)
    for (const nodeId of set.nodes) {
      const node = this.#known.get(nodeId)!
      if (--node.sets === 0) this.#close(node)
    }
  }

  #open(nodeId: string): KnownNode {
    const node = { nodeId, code: this.#freeCodes.pop() ?? this.#byCode.length, sets: 0 }
    this.#known.set(nodeId, node)
    this.#byCode[node.code] = node
    return node
  }

  #close({ nodeId, code }: KnownNode): void {
    this.#known.delete(nodeId)
    this.#byCode[code] = undefined
    this.#freeCodes.push(code)
  }
}
