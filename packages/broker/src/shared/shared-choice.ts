/**
 * Which member of a shared subscription gets a message: first the node, by the node of the publisher, then the
 * member, by that node. Nothing here knows more than what it is given.
 */
import { bucketOf } from '@breakwater/redis'
import type { SharedStrategy } from '@breakwater/config'

const HASHES = 2 ** 32

export interface NodesOfGroup {
  /** This node. */
  readonly self: string
  /** Other nodes with members, in order. */
  readonly nodes: readonly string[]
  readonly hasLocal: boolean
  /** Whether a member here takes something now. */
  readonly localReady: boolean
}

/** What a message is the same by, where the strategy goes by a hash; 0 otherwise. */
export function hashOf(strategy: SharedStrategy, topic: string, publisher: string): number {
  if (strategy === 'hash-topic') return bucketOf(topic, HASHES)
  return strategy === 'hash-client' ? bucketOf(publisher, HASHES) : 0
}

/** Where the search begins. */
export function startOf(strategy: SharedStrategy, hash: number, turn: number): number {
  if (strategy === 'local') return turn
  return strategy === 'random' ? Math.floor(Math.random() * HASHES) : hash
}

/** The node that is to deliver; '' where no node has a member. */
export function chooseNode(strategy: SharedStrategy, start: number, group: NodesOfGroup): string {
  const { self, nodes, hasLocal, localReady } = group
  if (nodes.length === 0) return hasLocal ? self : ''
  const other = nodes[start % nodes.length] as string
  if (!localReady) return other
  if (strategy === 'local') return self
  // Every node sees the same order, so that a hash means the same node everywhere.
  const place = placeIn(nodes, self)
  const chosen = start % (nodes.length + 1)
  if (chosen === place) return self
  return nodes[chosen < place ? chosen : chosen - 1] as string
}

/** The first that fits from `start` on, round the end; undefined if none does. */
export function firstFrom<T>(
  items: readonly T[],
  start: number,
  fits: (item: T) => boolean,
): T | undefined {
  for (let step = 0; step < items.length; step += 1) {
    const item = items[(start + step) % items.length] as T
    if (fits(item)) return item
  }
  return undefined
}

/** Where this would be in what is in order. */
export function placeIn(names: readonly string[], name: string): number {
  let place = 0
  while (place < names.length && (names[place] as string) < name) place += 1
  return place
}
