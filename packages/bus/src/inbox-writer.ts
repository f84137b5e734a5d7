/**
 * Appends messages and words to the inboxes of other nodes.
 *
 * In: `publish`, `post`, `tell`. Out: `done` of each published message, in order; posted ones are written into
 * one buffer per turn and targets. What one event-loop turn brings goes out as one frame per target, all of
 * them in one pipeline; what had no answer is sent again in order (`TurnQueue`). A target that has it already is
 * left out, and knows by its number what comes twice all the same. One frame per target at a time: were one
 * refused and the next one taken, the first could only come too late.
 *
 * Bounds: those of the queue, and `SEQUENCES_MAX` targets that are remembered.
 */
import {
  failureOf,
  sendAll,
  TurnQueue,
  type Outcome,
  type Redis,
  type ScriptCall,
  type Servers,
} from '@breakwater/redis'
import type { Done, Lost, NodeSignal } from './bus.ts'
import { encodeFrame, ITEM_BYTES, type FramePart } from './frame.ts'
import { APPENDED, INBOX_APPEND, loadInboxScripts } from './inbox-scripts.ts'
import { Message } from './message.ts'
import { Run } from './run.ts'
import { SharedMessage } from './shared-message.ts'

export type DropReason = 'inbox-full' | 'inbox-gone'

export interface InboxWriterOptions {
  readonly servers: Servers
  readonly nodeId: string
  /** The keys of the inbox of a node. */
  readonly inboxKeys: (nodeId: string) => readonly [inbox: string, bytes: string]
  readonly inboxBytesMax: number
  readonly timeoutMs: number
  readonly itemsMax: number
  readonly bytesMax: number
  readonly onFault: (error: Error) => void
  /** A frame with messages was taken; one of words alone does not count. */
  readonly onFrame: () => void
  readonly onDropped: (reason: DropReason, messages: number) => void
}

/** What is numbered together for one target. */
interface Sequence {
  readonly target: string
  readonly id: number
  last: number
  after: number
  generation: number
}

interface ItemCopy extends FramePart {
  readonly sequence: Sequence
  /** Its number, or that of the last message of a run. */
  readonly last: number
  reached: boolean
}

interface OutgoingItem {
  readonly copies: readonly ItemCopy[]
  sent: boolean
  /** A newer word took its place before it was sent. */
  outdated: boolean
}

const FRAME_ITEMS_MAX = 1_000
const FRAME_BYTES_MAX = 262_144
const CONGESTED_AT = 2 * FRAME_ITEMS_MAX
const SEQUENCES_MAX = 10_000
const TAKEN: Outcome = {}

export class InboxWriter {
  readonly #options: InboxWriterOptions
  readonly #queue: TurnQueue<OutgoingItem>
  readonly #sequences = new Map<string, Sequence>()
  /** Of this turn, by kind, target and filter. */
  readonly #signals = new Map<string, OutgoingItem>()
  #sequencesMade = 0
  /** QoS 0 of this turn that has not been pushed yet, and where it goes. */
  #run: Run | undefined
  #runTargets: readonly string[] = []
  #runLost: Lost = () => {}
  /** Messages of runs that were pushed. */
  #runMessages = 0
  #clearWaiters: (() => void)[] = []
  #closed = false

  constructor(options: InboxWriterOptions) {
    const { servers, onFault, timeoutMs, itemsMax, bytesMax } = options
    this.#options = options
    this.#queue = new TurnQueue<OutgoingItem>({
      send: (items) => this.#send(items),
      cut: () => servers.cut(),
      onFault,
      timeoutMs,
      batchItemsMax: FRAME_ITEMS_MAX,
      batchBytesMax: FRAME_BYTES_MAX,
      itemsMax,
      bytesMax,
    })
    servers.onReady((redis) => void this.#load(redis))
  }

  get congested(): boolean {
    return this.#queue.size + this.#runMessages + (this.#run?.count ?? 0) > CONGESTED_AT
  }

  /** Calls back as soon as it is not congested; at once, or when a batch has its answer. */
  whenClear(callback: () => void): void {
    if (this.congested) this.#clearWaiters.push(callback)
    else callback()
  }

  post(message: Message, targets: readonly string[], lost: Lost): void {
    if (
      this.#run !== undefined &&
      this.#runTargets === targets &&
      this.#runLost === lost &&
      this.#run.add(message)
    )
      return
    const scheduled = this.#run !== undefined
    this.#pushRun()
    this.#run = new Run(message)
    this.#runTargets = targets
    this.#runLost = lost
    if (!scheduled) setImmediate(() => this.#pushRun())
  }

  publish(
    content: Message | SharedMessage,
    bytes: number,
    targets: readonly string[],
    done: Done,
  ): void {
    this.#pushRun()
    const item = this.#outgoing(content, targets)
    this.#queue.push(item, bytes + ITEM_BYTES, (error) => {
      this.#wakeWaiters()
      done(error)
    })
  }

  tell(target: string, signal: NodeSignal): void {
    this.#pushRun()
    const slot =
      signal.kind === 'confirmed' ? `confirmed ${target}` : `assigned ${target} ${signal.filter}`
    const earlier = this.#signals.get(slot)
    if (earlier !== undefined && !earlier.sent) earlier.outdated = true
    if (this.#signals.size === 0) setImmediate(() => this.#signals.clear())
    const item = this.#outgoing(signal, [target])
    this.#signals.set(slot, item)
    const bytes = signal.kind === 'assigned' ? signal.filter.length : 0
    this.#queue.push(item, bytes + ITEM_BYTES)
  }

  /** Resolves when everything that was pushed before has its answer. */
  settled(): Promise<void> {
    this.#pushRun()
    return this.#queue.settled()
  }

  close(): void {
    this.#closed = true
    this.#queue.close()
  }

  /** What comes next goes behind it. */
  #pushRun(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    const lost = this.#runLost
    const { count } = run
    const { length } = run.bytes
    this.#runMessages += count
    this.#queue.push(this.#outgoing(run, this.#runTargets, count), length, (error) => {
      this.#runMessages -= count
      this.#wakeWaiters()
      if (error !== undefined) lost(count)
    })
  }

  #wakeWaiters(): void {
    if (this.#clearWaiters.length === 0 || this.congested) return
    const waiters = this.#clearWaiters
    this.#clearWaiters = []
    for (const wake of waiters) wake()
  }

  #outgoing(
    content: ItemCopy['content'],
    targets: readonly string[],
    count: number = 1,
  ): OutgoingItem {
    const copies = targets.map((target): ItemCopy => {
      const sequence = this.#sequence(target)
      const number = sequence.last + 1
      sequence.last += count
      return { sequence, number, last: sequence.last, content, reached: false }
    })
    return { copies, sent: false, outdated: false }
  }

  #sequence(target: string): Sequence {
    const known = this.#sequences.get(target)
    if (known !== undefined) return known
    this.#sequencesMade += 1
    const sequence = { target, id: this.#sequencesMade, last: 0, after: 0, generation: 0 }
    this.#sequences.set(target, sequence)
    if (this.#sequences.size > SEQUENCES_MAX) {
      const [oldest] = this.#sequences.keys()
      if (oldest !== undefined) this.#sequences.delete(oldest)
    }
    return sequence
  }

  async #send(items: readonly OutgoingItem[]): Promise<readonly Outcome[]> {
    const loads = new Map<Sequence, ItemCopy[]>()
    for (const item of items) {
      if (item.outdated) continue
      item.sent = true
      for (const copy of item.copies) {
        if (copy.reached) continue
        const load = loads.get(copy.sequence)
        if (load === undefined) loads.set(copy.sequence, [copy])
        else load.push(copy)
      }
    }
    if (loads.size === 0) return items.map(() => TAKEN)
    const failures = await this.#append(loads)
    if (failures.size === 0) return items.map(() => TAKEN)
    return items.map((item) => (item.outdated ? TAKEN : outcomeOf(item, failures)))
  }

  /** What became of those lines whose frame was not dealt with. */
  async #append(
    loads: ReadonlyMap<Sequence, readonly ItemCopy[]>,
  ): Promise<ReadonlyMap<Sequence, Outcome>> {
    const { servers, nodeId, inboxKeys, inboxBytesMax } = this.#options
    const calls = [...loads].map(([sequence, copies]): ScriptCall => {
      const { id, generation, after } = sequence
      const frame = encodeFrame({ from: nodeId, sequence: id, generation, after }, copies)
      const [inbox, bytes] = inboxKeys(sequence.target)
      return ['evalsha', INBOX_APPEND.sha, 2, inbox, bytes, inboxBytesMax, frame]
    })
    const results = await sendAll(servers, calls, (redis) => this.#load(redis))
    const failures = new Map<Sequence, Outcome>()
    let index = 0
    for (const [sequence, copies] of loads) {
      const [error, answer] = results[index] ?? [new Error('no answer')]
      index += 1
      if (error === null) this.#answered(sequence, copies, answer as [number, number])
      else failures.set(sequence, failureOf(error))
    }
    return failures
  }

  #answered(
    sequence: Sequence,
    copies: readonly ItemCopy[],
    [what, generation]: [number, number],
  ): void {
    const { onFrame, onDropped } = this.#options
    for (const copy of copies) copy.reached = true
    if (what === APPENDED.taken) {
      sequence.after = copies.at(-1)?.last ?? sequence.after
      sequence.generation = generation
      if (messagesOf(copies) > 0) onFrame()
      return
    }
    // A node that comes to have an inbox again does not know of what went before.
    const gone = what === APPENDED.gone
    if (gone && this.#sequences.get(sequence.target) === sequence)
      this.#sequences.delete(sequence.target)
    const messages = messagesOf(copies)
    if (messages > 0) onDropped(gone ? 'inbox-gone' : 'inbox-full', messages)
  }

  async #load(redis: Redis): Promise<void> {
    try {
      await loadInboxScripts(redis)
    } catch (error) {
      // A connection that was lost again loads them at its next `ready`.
      if (!this.#closed && (error as Error).name === 'ReplyError')
        this.#options.onFault(error as Error)
    }
  }
}

/** Words do not count. */
function messagesOf(copies: readonly ItemCopy[]): number {
  let messages = 0
  for (const { content } of copies)
    if (content instanceof Run) messages += content.count
    else if (content instanceof Message || content instanceof SharedMessage) messages += 1
  return messages
}

function outcomeOf({ copies }: OutgoingItem, failures: ReadonlyMap<Sequence, Outcome>): Outcome {
  let final = TAKEN
  for (const { sequence, reached } of copies) {
    const failure = reached ? undefined : failures.get(sequence)
    if (failure?.again === true) return failure
    if (failure !== undefined) final = failure
  }
  return final
}
