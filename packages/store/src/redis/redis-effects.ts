/**
 * Everything that one PUBLISH changes in Redis, split into what one script may touch: on one server one write,
 * or several where it goes to many queues; in a cluster the same per bucket. The retained message comes with the
 * first write of its bucket. The QoS 2 publish that it was is forgotten in the last write where there is one
 * group of writers, and after all writes have succeeded where there are several.
 *
 * Out: `done`, in the order of the calls of one topic.
 */
import { encodeMessage, type Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { bucketOf, RETAINED_BUCKETS, type Keys } from '@breakwater/redis'
import { EffectAnswers, LEFT_OUT, leftOutOf } from './effect-answers.ts'
import type { Operation, PublishWriter } from './publish-writer.ts'
import type { RedisRetained } from './redis-retained.ts'
import { sharedAppend } from './redis-shared.ts'
import type { SharedAppend } from '../shared-queues.ts'
import type { AppendDone, Appended, InboundPublish, PublishEffects, QueueAppend } from '../store.ts'
import { perBucket, type ShareBounds } from '../share-bounds.ts'
import { TopicTurns } from './topic-turns.ts'
import type { WriterGroups } from './writer-groups.ts'

const NOTHING: Appended = { positions: [], dropped: 0, retainedChanged: false }

/** Queues of one write: no call that carries several messages is held up by one with many. */
const CHUNK = 500
const NO_SHARED: readonly SharedAppend[] = []

const NO_SIZE = { queues: 0, bytes: 0 }

type LookDone = (error: Error | undefined, leftOut: boolean) => void

/** What one group of writers gets of a message: places among its queues, and among the shared ones. */
interface Share {
  readonly publishes: PublishWriter
  readonly queues: number[]
  readonly shared: number[]
  retain: boolean
  readonly inbound: InboundPublish | undefined
}

export interface RedisEffectsOptions {
  readonly keys: Keys
  readonly writers: WriterGroups
  readonly retained: RedisRetained
  readonly shares: ShareBounds
}

export class RedisEffects {
  readonly #keys: Keys
  readonly #writers: WriterGroups
  readonly #retained: RedisRetained
  /** Of retained messages, as the script reads them. */
  readonly #bounds: string
  readonly #turns = new TopicTurns<Parameters<AppendDone>>()
  readonly #looks = new TopicTurns<Parameters<LookDone>>()

  constructor({ keys, writers, retained, shares }: RedisEffectsOptions) {
    this.#keys = keys
    this.#writers = writers
    this.#retained = retained
    const { retainedMessagesMax, retainedBytesMax } = shares
    const { retainedMessagesPerUserMax, retainedBytesPerUserMax } = shares
    const user = [retainedMessagesPerUserMax, retainedBytesPerUserMax]
    this.#bounds = [retainedMessagesMax, retainedBytesMax, ...user].map(perBucket).join(' ')
  }

  apply(effects: PublishEffects, done: AppendDone): void {
    const { message, queues, shared = NO_SHARED, replay = false, inbound } = effects
    const retain = message.retain && !replay
    if (!this.#writers.clustered) {
      const { publishes } = this.#writers.ofBucket(0)
      const places = { queues: [...queues.keys()], shared: [...shared.keys()] }
      // What changes nothing is written, too: its answer comes in its turn.
      this.#write(effects, [{ publishes, ...places, retain, inbound }], done)
    } else if (replay) {
      void this.#replayAcross(effects, done)
    } else this.#spread(effects, this.#turns.enter(message.topic, done))
  }

  /**
   * In a cluster. What goes to several groups begins with a look at what decides about all of it, and the
   * publish that it was is forgotten when all has succeeded.
   */
  #spread(effects: PublishEffects, done: AppendDone): void {
    const { message, inbound } = effects
    const shares = this.#sharesOf(effects)
    const publishes = inbound && this.#writers.of(inbound.clientId).publishes
    const [only] = shares
    const isOne = shares.length === 1 && (publishes ?? only?.publishes) === only?.publishes
    const write = (): void => {
      if (isOne) this.#write(effects, [{ ...(only as Share), inbound }], done)
      else if (inbound === undefined || publishes === undefined) {
        if (shares.length > 0) this.#write(effects, shares, done)
        else done(undefined, NOTHING)
      } else if (shares.length === 0)
        this.#write(effects, [{ publishes, queues: [], shared: [], retain: false, inbound }], done)
      else
        this.#write(effects, shares, (error, appended) => {
          if (error !== undefined) done(error, appended)
          else
            publishes.write([this.#forgets(inbound, 'D')], NO_SIZE, (failure) =>
              done(failure, appended),
            )
        })
    }
    const clears = message.payload.length === 0
    const retaining = isOne || clears ? undefined : shares.find(({ retain }) => retain)
    const looksFirst = this.#writers.refusing || inbound !== undefined || retaining !== undefined
    // Nor does it overtake one of its topic that looks.
    if (!looksFirst && !this.#looks.has(message.topic)) {
      write()
      return
    }
    const go = this.#looks.enter(message.topic, (error, leftOut) => {
      if (error !== undefined) done(error, NOTHING)
      else if (leftOut) done(undefined, leftOutOf(effects))
      else write()
    })
    const looks: [PublishWriter, Operation][] =
      isOne || shares.length === 0 || inbound === undefined || publishes === undefined
        ? []
        : [[publishes, this.#forgets(inbound, 'E')]]
    if (retaining !== undefined) looks.push([retaining.publishes, this.#retains(effects, 'M')])
    if (!isOne && this.#writers.refusing)
      for (const share of shares) looks.push(...this.#roomFor(effects, share))
    this.#look(looks, go)
  }

  #look(looks: readonly [PublishWriter, Operation][], go: LookDone): void {
    let open = looks.length
    let failure: Error | undefined
    let leftOut = false
    if (open === 0) go(undefined, false)
    for (const [publishes, operation] of looks)
      publishes.write([operation], NO_SIZE, (error, answer) => {
        failure ??= error
        leftOut ||= answer?.[0] === LEFT_OUT
        open -= 1
        if (open === 0) go(failure, leftOut)
      })
  }

  /** Asks whether its queues would take the message. */
  #roomFor(
    { message, queues, shared = NO_SHARED }: PublishEffects,
    share: Share,
  ): readonly [PublishWriter, Operation][] {
    const keys = [
      ...share.queues.flatMap((place) => {
        const { clientId } = queues[place] as QueueAppend
        return [this.#keys.session(clientId), this.#keys.queue(clientId)]
      }),
      ...share.shared.flatMap((place) => {
        const { filter } = shared[place] as SharedAppend
        return [this.#keys.shared(filter), this.#keys.sharedQueue(filter)]
      }),
    ]
    if (keys.length === 0) return []
    const words = ['K', { message: encodeMessage(message) }, keys.length / 2]
    return [[share.publishes, { keys, words }]]
  }

  #sharesOf({ message, queues, shared = NO_SHARED, replay }: PublishEffects): readonly Share[] {
    const shares = new Map<PublishWriter, Share>()
    const of = (publishes: PublishWriter): Share => {
      const known = shares.get(publishes)
      if (known !== undefined) return known
      const made: Share = { publishes, queues: [], shared: [], retain: false, inbound: undefined }
      shares.set(publishes, made)
      return made
    }
    for (const [place, { clientId }] of queues.entries())
      of(this.#writers.of(clientId).publishes).queues.push(place)
    for (const [place, { filter }] of shared.entries())
      of(this.#writers.of(filter).publishes).shared.push(place)
    if (message.retain && replay !== true) {
      const bucket = bucketOf(message.topic, RETAINED_BUCKETS)
      of(this.#writers.ofBucket(bucket).publishes).retain = true
    }
    return [...shares.values()]
  }

  /**
   * In a cluster what is retained lies in another slot than the queues. It is read again when it was queued: a
   * newer one may be in front of it in the queue, and is queued once more.
   */
  async #replayAcross(
    { message: { topic }, queues }: PublishEffects,
    done: AppendDone,
  ): Promise<void> {
    let answer: Appended = { ...NOTHING, positions: queues.map(() => 0) }
    try {
      let queued: Message | undefined
      for (;;) {
        const [message] = (await this.#retained.read([topic], Number.MAX_SAFE_INTEGER)).messages
        if (message === undefined || isSame(message, queued)) break
        const appended = await this.#appendRetained(message, queues)
        if (queued === undefined) answer = appended
        queued = message
      }
    } catch (error) {
      done(error as Error, NOTHING)
      return
    }
    done(undefined, answer)
  }

  async #appendRetained(message: Message, queues: readonly QueueAppend[]): Promise<Appended> {
    const granted = queues.map(({ clientId, qos }) => ({
      clientId,
      qos: Math.max(1, Math.min(message.qos, qos)) as QoS,
    }))
    return await new Promise((resolve, reject) => {
      this.#spread({ message, queues: granted, replay: true }, (error, appended) => {
        if (error === undefined) resolve(appended)
        else reject(error)
      })
    })
  }

  #write(effects: PublishEffects, shares: readonly Share[], done: AppendDone): void {
    const { message, replay = false } = effects
    const variants = new Variants(message, replay)
    const writes = shares.reduce((sum, { queues }) => sum + writesOf(queues), 0)
    const answers = new EffectAnswers(effects, writes, done)
    for (const share of shares) this.#writeShare(effects, share, variants, answers)
  }

  #writeShare(
    effects: PublishEffects,
    share: Share,
    variants: Variants,
    answers: EffectAnswers,
  ): void {
    const { message, shared = NO_SHARED, replay = false } = effects
    const { publishes, inbound } = share
    const writes = writesOf(share.queues)
    for (let write = 0; write < writes; write += 1) {
      const isLast = write === writes - 1
      const chunk =
        writes === 1 ? share.queues : share.queues.slice(write * CHUNK, (write + 1) * CHUNK)
      const retain = share.retain && write === 0
      const operations: Operation[] = []
      // Of several writes an earlier one may have been executed alone: then the last one must be, too.
      if (inbound !== undefined && isLast)
        operations.push(this.#forgets(inbound, writes === 1 ? 'T' : 'D'))
      if (retain) operations.push(this.#retains(effects))
      const queues = replay
        ? this.#replay(effects, chunk, operations, variants)
        : this.#append(effects, chunk, operations, variants)
      // Behind the sessions of the last write: their answers come first.
      const last = isLast ? share.shared : []
      for (const place of last) {
        const append = shared[place] as SharedAppend
        operations.push(sharedAppend(this.#keys, append, variants.at(append.qos)))
      }
      const size = {
        queues: chunk.length + last.length,
        bytes: variants.takeBytes() + (retain ? message.bytes : 0),
        before: write,
      }
      const asked = { queues, shared: last, retain }
      publishes.write(operations, size, (error, answer) => answers.take(error, answer, asked))
    }
  }

  /** `T`: where there is none, the write is left out; `E`: that alone. */
  #forgets({ clientId, packetId }: InboundPublish, how: 'T' | 'D' | 'E'): Operation {
    const inbound = this.#keys.inbound(clientId)
    const keys = how === 'E' ? [inbound] : [this.#keys.session(clientId), inbound]
    return { keys, words: [how, packetId] }
  }

  /** `M`: asks whether it may be. An empty payload clears [MQTT-3.3.1-10]. */
  #retains({ message, account }: PublishEffects, how: 'S' | 'M' = 'S'): Operation {
    const { topic, payload } = message
    const bucket = bucketOf(topic, RETAINED_BUCKETS)
    const keys = [
      this.#keys.retained(bucket),
      this.#keys.retainedOwners(bucket),
      this.#keys.retainedUsage(bucket),
    ]
    if (payload.length === 0) return { keys, words: ['C', topic] }
    const name = account === undefined ? '' : `@${account}`
    return { keys, words: [how, topic, { message: encodeMessage(message) }, name, this.#bounds] }
  }

  /** Returns the places of the queues in the order in which they are answered. */
  #append(
    { queues }: PublishEffects,
    places: readonly number[],
    operations: Operation[],
    variants: Variants,
  ): readonly number[] {
    const order: number[] = []
    for (const qos of [0, 1, 2] as const) {
      const keys: string[] = []
      for (const place of places) {
        const queue = queues[place] as QueueAppend
        if (queue.qos !== qos) continue
        keys.push(this.#keys.session(queue.clientId), this.#keys.queue(queue.clientId))
        order.push(place)
      }
      if (keys.length > 0)
        operations.push({ keys, words: ['A', { message: variants.at(qos) }, keys.length / 2] })
    }
    return order
  }

  #replay(
    { message: { topic }, queues }: PublishEffects,
    places: readonly number[],
    operations: Operation[],
    variants: Variants,
  ): readonly number[] {
    const retained = this.#keys.retained(bucketOf(topic, RETAINED_BUCKETS))
    for (const place of places) {
      const { clientId, qos } = queues[place] as QueueAppend
      const keys = [this.#keys.session(clientId), this.#keys.queue(clientId)]
      operations.push(
        this.#writers.clustered
          ? { keys, words: ['Q', { message: variants.at(qos) }] }
          : { keys: [...keys, retained], words: ['R', topic, qos] },
      )
    }
    return places
  }
}

/** One at least. */
function writesOf(queues: readonly number[]): number {
  return Math.max(1, Math.ceil(queues.length / CHUNK))
}

function isSame(message: Message, other: Message | undefined): boolean {
  return other !== undefined && message.qos === other.qos && message.payload.equals(other.payload)
}

/** A message as it is queued, encoded once per QoS. */
class Variants {
  readonly #message: Message
  readonly #retain: boolean
  readonly #encoded: (Buffer | undefined)[] = []
  #bytes = 0

  constructor(message: Message, retain: boolean) {
    this.#message = message
    this.#retain = retain
  }

  /** Held in memory since the last call. */
  takeBytes(): number {
    const bytes = this.#bytes
    this.#bytes = 0
    return bytes
  }

  at(qos: QoS): Buffer {
    const known = this.#encoded[qos]
    if (known !== undefined) return known
    const made = encodeMessage(this.#message.with({ qos, retain: this.#retain }))
    this.#encoded[qos] = made
    this.#bytes += made.length
    return made
  }
}
