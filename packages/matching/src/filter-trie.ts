import { isReservedTopic } from '@breakwater/mqtt'

/**
 * The fallback for wildcard filters that no shape index takes: those of further shapes than the
 * table allows, and those with very many levels.
 *
 * A trie of levels. A match walks it level by level with the set of nodes reached so far, so depth
 * costs no stack; a topic reaches at most the nodes whose filters could still match it. What this
 * costs is up to the filters in it, which is why it is the fallback and why the number of shapes per
 * client is limited where clients subscribe.
 */

interface TrieNode {
  /** Children by literal level. */
  literals: Map<string, TrieNode> | undefined
  /** Child for `+`. */
  any: TrieNode | undefined
  /** Id of the filter that ends here, or -1. */
  id: number
  /** Id of the filter that ends here with `/#`, or -1. */
  multiLevelId: number
}

export class FilterTrie {
  size = 0
  readonly #root: TrieNode = newNode()

  /** The id of this very filter, or -1. */
  find(filter: string): number {
    const levels = filter.split('/')
    const multiLevel = dropMultiLevel(levels)
    let node: TrieNode | undefined = this.#root
    for (const level of levels) {
      node = childOf(node, level)
      if (node === undefined) return -1
    }
    return multiLevel ? node.multiLevelId : node.id
  }

  /** Adds a filter that is not in the trie yet. */
  add(filter: string, id: number): void {
    const levels = filter.split('/')
    const multiLevel = dropMultiLevel(levels)
    let node = this.#root
    for (const level of levels) node = childOf(node, level) ?? addChild(node, level)
    if (multiLevel) node.multiLevelId = id
    else node.id = id
    this.size++
  }

  /** Removes a filter and returns its id, or -1 if it is not here. */
  remove(filter: string): number {
    const levels = filter.split('/')
    const multiLevel = dropMultiLevel(levels)
    const path = [this.#root]
    for (const level of levels) {
      const child = childOf(path.at(-1)!, level)
      if (child === undefined) return -1
      path.push(child)
    }
    const leaf = path.at(-1)!
    const id = multiLevel ? leaf.multiLevelId : leaf.id
    if (id === -1) return -1
    if (multiLevel) leaf.multiLevelId = -1
    else leaf.id = -1
    for (let depth = levels.length; depth > 0 && isEmpty(path[depth]!); depth--) {
      removeChild(path[depth - 1]!, levels[depth - 1]!)
    }
    this.size--
    return id
  }

  /** The ids of all filters that match the topic. */
  match(topic: string): number[] {
    const ids: number[] = []
    const levels = topic.split('/')
    const reserved = isReservedTopic(topic)
    let reached = [this.#root]
    for (let depth = 0; depth < levels.length && reached.length > 0; depth++) {
      const wildcards = !(reserved && depth === 0) // [MQTT-4.7.2-1]
      const next: TrieNode[] = []
      for (const node of reached) {
        if (wildcards && node.multiLevelId !== -1) ids.push(node.multiLevelId)
        const literal = node.literals?.get(levels[depth]!)
        if (literal !== undefined) next.push(literal)
        if (wildcards && node.any !== undefined) next.push(node.any)
      }
      reached = next
    }
    for (const node of reached) {
      // `a/#` also matches its parent level `a`.
      if (node.multiLevelId !== -1) ids.push(node.multiLevelId)
      if (node.id !== -1) ids.push(node.id)
    }
    return ids
  }
}

function newNode(): TrieNode {
  return { literals: undefined, any: undefined, id: -1, multiLevelId: -1 }
}

function dropMultiLevel(levels: string[]): boolean {
  if (levels.at(-1) !== '#') return false
  levels.pop()
  return true
}

function childOf(node: TrieNode, level: string): TrieNode | undefined {
  return level === '+' ? node.any : node.literals?.get(level)
}

function addChild(node: TrieNode, level: string): TrieNode {
  const child = newNode()
  if (level === '+') {
    node.any = child
  } else {
    node.literals ??= new Map()
    node.literals.set(level, child)
  }
  return child
}

function removeChild(node: TrieNode, level: string): void {
  if (level === '+') {
    node.any = undefined
    return
  }
  node.literals?.delete(level)
  if (node.literals?.size === 0) node.literals = undefined
}

function isEmpty(node: TrieNode): boolean {
  return (
    node.id === -1 &&
    node.multiLevelId === -1 &&
    node.any === undefined &&
    node.literals === undefined
  )
}
