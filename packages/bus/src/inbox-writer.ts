/**
 * Appends messages and words to the inboxes of other nodes.
 *
 * In: `publish`, `post`, `tell`. Out: `done` of each published message, in order; posted ones are written into
 * one buffer per turn and targets. What one event-loop turn brings goes out as one frame per target, all of
 * them in one pipeline; what had no answer is sent again in order (`TurnQueue`). A target that has it already is
 * left out, and knows by its number what comes twice all the same. One frame per target at a time: were one
 * refused and the next one taken, the first could only come too late.
 *
 * Bounds: those of the queue, and `LINES_MAX` targets that are remembered.
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
import type { Done, Lost, Word } from './bus.ts'
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
interface Line {
  readonly target: string
  readonly id: number
  last: number
  after: number
  generation: number
}

interface Stop extends FramePart {
  readonly line: Line
  /** Its number, or that of the last message of a run. */
  readonly last: number
  reached: boolean
}

interface Parcel {
  readonly stops: readonly Stop[]
  sent: boolean
  /** A newer word took its place before it was sent. */
  outdated: boolean
}

const FRAME_ITEMS_MAX = 1_000
const FRAME_BYTES_MAX = 262_144
const CONGESTED_AT = 2 * FRAME_ITEMS_MAX
const LINES_MAX = 10_000
const TAKEN: Outcome = {}

export class InboxWriter {
  readonly #options: InboxWriterOptions
  readonly #queue: TurnQueue<Parcel>
  readonly #lines = new Map<string, Line>()
  /** Of this turn, by kind, target and filter. */
  readonly #words = new Map<string, Parcel>()
  #linesMade = 0
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
    this.#queue = new TurnQueue<Parcel>({
      send: (parcels) => this.#send(parcels),
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
    const parcel = this.#parcel(content, targets)
    this.#queue.push(parcel, bytes + ITEM_BYTES, (error) => {
      this.#wakeWaiters()
      done(error)
    })
  }

  tell(target: string, word: Word): void {
    this.#pushRun()
    const slot =
      word.kind === 'confirmed' ? `confirmed ${target}` : `assigned ${target} ${word.filter}`
    const earlier = this.#words.get(slot)
    if (earlier !== undefined && !earlier.sent) earlier.outdated = true
    if (this.#words.size === 0) setImmediate(() => this.#words.clear())
    const parcel = this.#parcel(word, [target])
    this.#words.set(slot, parcel)
    const bytes = word.kind === 'assigned' ? word.filter.length : 0
    this.#queue.push(parcel, bytes + ITEM_BYTES)
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
    this.#queue.push(this.#parcel(run, this.#runTargets, count), length, (error) => {
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

  #parcel(content: Stop['content'], targets: readonly string[], count: number = 1): Parcel {
    const stops = targets.map((target): Stop => {
      const line = this.#line(target)
      const number = line.last + 1
      line.last += count
      return { line, number, last: line.last, content, reached: false }
    })
    return { stops, sent: false, outdated: false }
  }

  #line(target: string): Line {
    const known = this.#lines.get(target)
    if (known !== undefined) return known
    this.#linesMade += 1
    const line = { target, id: this.#linesMade, last: 0, after: 0, generation: 0 }
    this.#lines.set(target, line)
    if (this.#lines.size > LINES_MAX) {
      const [oldest] = this.#lines.keys()
      if (oldest !== undefined) this.#lines.delete(oldest)
    }
    return line
  }

  async #send(parcels: readonly Parcel[]): Promise<readonly Outcome[]> {
    const loads = new Map<Line, Stop[]>()
    for (const parcel of parcels) {
      if (parcel.outdated) continue
      parcel.sent = true
      for (const stop of parcel.stops) {
        if (stop.reached) continue
        const load = loads.get(stop.line)
        if (load === undefined) loads.set(stop.line, [stop])
        else load.push(stop)
      }
    }
    if (loads.size === 0) return parcels.map(() => TAKEN)
    const failures = await this.#append(loads)
    if (failures.size === 0) return parcels.map(() => TAKEN)
    return parcels.map((parcel) => (parcel.outdated ? TAKEN : outcomeOf(parcel, failures)))
  }

  /** What became of those lines whose frame was not dealt with. */
  async #append(loads: ReadonlyMap<Line, readonly Stop[]>): Promise<ReadonlyMap<Line, Outcome>> {
    const { servers, nodeId, inboxKeys, inboxBytesMax } = this.#options
    const calls = [...loads].map(([line, stops]): ScriptCall => {
      const { id, generation, after } = line
      const frame = encodeFrame({ from: nodeId, line: id, generation, after }, stops)
      const [inbox, bytes] = inboxKeys(line.target)
      return ['evalsha', INBOX_APPEND.sha, 2, inbox, bytes, inboxBytesMax, frame]
    })
    const results = await sendAll(servers, calls, (redis) => this.#load(redis))
    const failures = new Map<Line, Outcome>()
    let index = 0
    for (const [line, stops] of loads) {
      const [error, answer] = results[index] ?? [new Error('no answer')]
      index += 1
      if (error === null) this.#answered(line, stops, answer as [number, number])
      else failures.set(line, failureOf(error))
    }
    return failures
  }

  #answered(line: Line, stops: readonly Stop[], [what, generation]: [number, number]): void {
    const { onFrame, onDropped } = this.#options
    for (const stop of stops) stop.reached = true
    if (what === APPENDED.taken) {
      line.after = stops.at(-1)?.last ?? line.after
      line.generation = generation
      if (messagesOf(stops) > 0) onFrame()
      return
    }
    // A node that comes to have an inbox again does not know of what went before.
    const gone = what === APPENDED.gone
    if (gone && this.#lines.get(line.target) === line) this.#lines.delete(line.target)
    const messages = messagesOf(stops)
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
function messagesOf(stops: readonly Stop[]): number {
  let messages = 0
  for (const { content } of stops)
    if (content instanceof Run) messages += content.count
    else if (content instanceof Message || content instanceof SharedMessage) messages += 1
  return messages
}

function outcomeOf({ stops }: Parcel, failures: ReadonlyMap<Line, Outcome>): Outcome {
  let final = TAKEN
  for (const { line, reached } of stops) {
    const failure = reached ? undefined : failures.get(line)
    if (failure?.again === true) return failure
    if (failure !== undefined) final = failure
  }
  return final
}
