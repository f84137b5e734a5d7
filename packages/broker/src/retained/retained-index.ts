/**
 * The topics of all retained messages: which of them does a filter match?
 *
 * A trie of levels. A node holds its own level only, and a Map of its children only where there are
 * two or more; a topic is put together again as it is found. A walk goes through the literal levels
 * of the filter by lookup and through its wildcards child by child, on a stack of its own, so that
 * neither depth nor width costs more than the caller takes: it stops where the caller stops.
 *
 * A child that is deleted stays in a Map as an empty node until half of the children are empty: V8
 * keeps deleted entries in the Map's chains, so that deleting and adding one of 100,000 children again
 * and again would walk all that went before. So empty nodes are never more than the others.
 *
 * The index may change between two steps of a walk. The walk sees no node that was made after it
 * began, so whoever adds a topic for every one that is found still comes to an end.
 */

interface RetainedNode {
  readonly level: string
  children: Children | RetainedNode | undefined
  isTopic: boolean
  /** How many walks had begun when this node was made. */
  readonly walksBefore: number
}

class Children extends Map<string, RetainedNode> {
  /** Children that stand for nothing any more. */
  empty = 0
}

interface Frame {
  readonly text: string
  readonly children: Iterator<RetainedNode>
}

export class RetainedIndex {
  #root: RetainedNode = newNode('', 0)
  #size = 0
  #walks = 0

  /** Topics. */
  get size(): number {
    return this.#size
  }

  has(topic: string): boolean {
    let node: RetainedNode | undefined = this.#root
    for (let start = 0; start <= topic.length && node !== undefined;) {
      const end = levelEnd(topic, start)
      node = childOf(node, topic.slice(start, end))
      start = end + 1
    }
    return node?.isTopic === true
  }

  /** True if the topic was not in the index yet. */
  add(topic: string): boolean {
    let node = this.#root
    for (let start = 0; start <= topic.length;) {
      const end = levelEnd(topic, start)
      const level = topic.slice(start, end)
      node = usedChild(node, level) ?? addChild(node, newNode(ownText(level), this.#walks))
      start = end + 1
    }
    if (node.isTopic) return false
    node.isTopic = true
    this.#size++
    return true
  }

  /** True if the topic was in the index. */
  delete(topic: string): boolean {
    const path = [this.#root]
    for (let start = 0; start <= topic.length;) {
      const end = levelEnd(topic, start)
      const child = childOf(path.at(-1)!, topic.slice(start, end))
      if (child === undefined) return false
      path.push(child)
      start = end + 1
    }
    const last = path.at(-1)!
    if (!last.isTopic) return false
    last.isTopic = false
    this.#size--
    for (let depth = path.length - 1; depth > 0 && isEmpty(path[depth]!); depth--) {
      dropChild(path[depth - 1]!)
    }
    return true
  }

  clear(): void {
    this.#root = newNode('', 0)
    this.#size = 0
  }

  /**
   * The topics that a valid filter matches, in no particular order, found as they are asked for. Of
   * what changes between two steps some may be missed or found although it is gone. With `stepsMax` the walk
   * stops after so many nodes also where it has found nothing, with undefined: whoever walks may let others
   * have their turn.
   */
  match(filter: string): Generator<string, void, undefined>
  match(filter: string, stepsMax: number): Generator<string | undefined, void, undefined>
  *match(filter: string, stepsMax = Infinity): Generator<string | undefined, void, undefined> {
    const root = this.#root
    const walk = ++this.#walks
    const levels = filter.split('/')
    const multiLevel = levels.at(-1) === '#'
    if (multiLevel) levels.pop()
    const depthMax = multiLevel ? Infinity : levels.length
    const candidates = (node: RetainedNode, depth: number): Iterator<RetainedNode> | undefined => {
      if (depth >= depthMax) return undefined
      const level = depth < levels.length ? levels[depth]! : '+'
      return level === '+' ? childrenOf(node) : only(childOf(node, level))
    }
    const hidesReserved = levels.length === 0 || levels[0] === '+' // [MQTT-4.7.2-1]

    const first = candidates(root, 0)
    const frames: Frame[] = first === undefined ? [] : [{ text: '', children: first }]
    let steps = 0
    while (frames.length > 0 && this.#root === root) {
      if (steps === stepsMax) {
        steps = 0
        yield undefined
        continue
      }
      steps++
      const depth = frames.length
      const { text: parent, children } = frames[depth - 1]!
      const next = children.next()
      if (next.done === true) {
        frames.pop()
        continue
      }
      const node = next.value
      if (node.walksBefore >= walk) continue
      if (depth === 1 && hidesReserved && node.level.startsWith('$')) continue
      const below = candidates(node, depth)
      const found = node.isTopic && depth >= levels.length
      if (below === undefined && !found) continue
      const text = depth === 1 ? node.level : `${parent}/${node.level}`
      if (below !== undefined) frames.push({ text, children: below })
      if (found) yield text
    }
  }
}

function newNode(level: string, walksBefore: number): RetainedNode {
  return { level, children: undefined, isTopic: false, walksBefore }
}

function levelEnd(topic: string, start: number): number {
  const slash = topic.indexOf('/', start)
  return slash === -1 ? topic.length : slash
}

function isEmpty({ isTopic, children }: RetainedNode): boolean {
  return !isTopic && children === undefined
}

function childOf({ children }: RetainedNode, level: string): RetainedNode | undefined {
  if (children === undefined) return undefined
  if (children instanceof Children) return children.get(level)
  return children.level === level ? children : undefined
}

/** The child, which is going to be more than empty if it was not. */
function usedChild(node: RetainedNode, level: string): RetainedNode | undefined {
  const child = childOf(node, level)
  if (child !== undefined && node.children instanceof Children && isEmpty(child)) {
    node.children.empty--
  }
  return child
}

function childrenOf({ children }: RetainedNode): Iterator<RetainedNode> | undefined {
  return children instanceof Children ? children.values() : only(children)
}

function only(node: RetainedNode | undefined): Iterator<RetainedNode> | undefined {
  return node === undefined ? undefined : [node].values()
}

function addChild(node: RetainedNode, child: RetainedNode): RetainedNode {
  const { children } = node
  if (children === undefined) {
    node.children = child
  } else {
    if (!(children instanceof Children)) node.children = mapOf([children])
    ;(node.children as Children).set(child.level, child)
  }
  return child
}

function mapOf(nodes: readonly RetainedNode[]): Children {
  const children = new Children()
  for (const node of nodes) children.set(node.level, node)
  return children
}

/** A child has become empty. */
function dropChild(node: RetainedNode): void {
  const { children } = node
  if (!(children instanceof Children)) {
    node.children = undefined
    return
  }
  children.empty++
  if (children.empty * 2 < children.size) return
  // A walk that is in the old Map goes on in it, so that what is left stays in there too.
  const left = [...children.values()].filter((child) => !isEmpty(child))
  node.children = left.length > 1 ? mapOf(left) : left[0]
}

/** From here on a slice of a string keeps the whole of it in memory. */
const SLICE_LENGTH_MIN = 13

/** The level as a string of its own: it may stay for longer than the topic that brought it. */
function ownText(level: string): string {
  if (level.length < SLICE_LENGTH_MIN) return level
  const encoding = isLatin1(level) ? 'latin1' : 'utf16le'
  return Buffer.from(level, encoding).toString(encoding)
}

function isLatin1(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 0xff) return false
  }
  return true
}
