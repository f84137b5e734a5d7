/**
 * One run of an import: sessions, retained messages, wills. In: another broker's data. Out: what is written, and
 * counted in the report. Bounds: SESSIONS_AT_ONCE sessions with a window of their queues each, RETAINED_BATCH
 * messages.
 */
import { isSharedFilter, isValidTopicFilter, topicMatchesFilter, type QoS } from '@breakwater/mqtt'
import { Message } from '@breakwater/bus'
import type { Config } from '@breakwater/config'
import type { FilterRefusal } from '@breakwater/metrics'
import {
  ImportQueue,
  type AedesDeployment,
  type RedisImport,
  type StagedMessage,
  type StoredSubscription,
} from '@breakwater/store'
import { FilterRequests, NO_FILTERS } from '../lifecycle/subscription-rules.ts'
import { WHY_REFUSED } from '../observe/filter-refusal.ts'
import type { ImportReport } from './import-report.ts'
import { refusalOfClient, refusalOfLasting, refusalOfMessage } from './importable.ts'

export interface ImportRunOptions {
  readonly source: AedesDeployment
  readonly target: RedisImport
  /** The node that wills are left behind by. */
  readonly leftBehindBy: string
  readonly config: Pick<Config, 'limits' | 'queuePolicy'>
  readonly report: ImportReport
  readonly dryRun: boolean
  readonly userIsClientId: boolean
  /** @throws {Error} nothing may be written any more */
  readonly check: () => void
}

const SESSIONS_AT_ONCE = 32
const RETAINED_BATCH = 100
const RETAINED_BATCH_BYTES = 1_048_576

export class ImportRun {
  readonly #options: ImportRunOptions

  constructor(options: ImportRunOptions) {
    this.#options = options
  }

  async all(): Promise<void> {
    for await (const clientIds of this.#options.source.clientIds()) await this.#sessions(clientIds)
    await this.#retained()
    await this.#wills()
  }

  async #sessions(clientIds: readonly string[]): Promise<void> {
    const left = clientIds.values()
    const faults: unknown[] = []
    const work = async (): Promise<void> => {
      for (const clientId of left) {
        if (faults.length > 0) return
        await this.#session(clientId).catch((error: unknown) => faults.push(error))
      }
    }
    // Nothing is under way any more when a fault ends the run.
    await Promise.all(Array.from({ length: SESSIONS_AT_ONCE }, work))
    if (faults.length > 0) throw faults[0]
  }

  async #session(clientId: string): Promise<void> {
    const { source, target, report, config, dryRun, check } = this.#options
    const found = await target.look(clientId)
    if (found !== 'imported') {
      report.sessions[found] += 1
      return
    }
    const why = refusalOfClient(clientId, config.limits)
    if (why !== undefined) {
      report.leaveOut('session', why)
      return
    }
    const { subscriptions, received } = await source.session(clientId)
    const kept = this.#filters(subscriptions)
    const { queue, released } = await this.#queue(clientId, kept)
    const session = {
      clientId,
      user: this.#userOf(clientId),
      subscriptions: kept,
      released,
      received,
    }
    check()
    const answer = dryRun ? 'imported' : await target.finish(session, queue)
    report.sessions[answer] += 1
    report.leaveOut('queued message', 'queue longer than its limits', queue.dropped)
    report.leaveOut(
      'packet id of a message that was sent',
      'it is one of those of shared subscriptions; the message is queued',
      queue.renumbered,
    )
    if (answer !== 'imported') return
    report.parts.filters += kept.length
    report.parts.messages += queue.count
    report.parts.released += released.length
    report.parts.received += received.length
  }

  #filters(subscriptions: readonly StoredSubscription[]): readonly StoredSubscription[] {
    const { report, config } = this.#options
    const asked = new FilterRequests(NO_FILTERS, config.limits, () => true)
    return subscriptions.filter(({ filter }) => {
      const why = !isValidTopicFilter(filter)
        ? 'invalid filter'
        : isSharedFilter(filter)
          ? 'shared subscription, which aedes does not have'
          : whyRefused(asked.refusal(filter))
      if (why !== undefined) report.leaveOut('filter', why)
      return why === undefined
    })
  }

  async #queue(
    clientId: string,
    subscriptions: readonly StoredSubscription[],
  ): Promise<{ queue: ImportQueue; released: readonly number[] }> {
    const { source, target, report, config, dryRun, check } = this.#options
    const queue = new ImportQueue({ ...config.limits, queuePolicy: config.queuePolicy })
    const released: number[] = []
    let begins = true
    for await (const { entries, missing } of source.queued(clientId)) {
      report.leaveOut('queued message', 'its content is not there any more', missing)
      const staged: StagedMessage[] = []
      for (const { message, packetId } of entries) {
        if (message === undefined) {
          if (packetId !== undefined) released.push(packetId)
          continue
        }
        report.read += 1
        const why = refusalOfMessage(message, config.limits)
        if (why !== undefined) {
          report.leaveOut('queued message', why)
          continue
        }
        const entry = queue.add(granted(message, packetId, subscriptions), packetId)
        if (entry !== undefined) staged.push(entry)
      }
      if (dryRun || staged.length === 0) continue
      check()
      await target.stage(clientId, queue, staged, begins)
      begins = false
    }
    return { queue, released }
  }

  async #retained(): Promise<void> {
    const { source, report, config } = this.#options
    let batch: Message[] = []
    let bytes = 0
    for await (const message of source.retained()) {
      const why = refusalOfLasting(message, config.limits)
      if (why !== undefined) {
        report.leaveOut('retained message', why)
        continue
      }
      batch.push(message)
      bytes += message.bytes
      if (batch.length < RETAINED_BATCH && bytes < RETAINED_BATCH_BYTES) continue
      await this.#retain(batch)
      batch = []
      bytes = 0
    }
    await this.#retain(batch)
  }

  async #retain(batch: readonly Message[]): Promise<void> {
    const { target, report, dryRun, check } = this.#options
    check()
    if (dryRun) report.retained.imported += batch.length
    else for (const answer of await target.retain(batch)) report.retained[answer] += 1
  }

  async #wills(): Promise<void> {
    const { source, target, report, config, dryRun, leftBehindBy, check } = this.#options
    for await (const { entries, missing } of source.wills()) {
      report.leaveOut('will', 'its content is not there any more', missing)
      check()
      await Promise.all(
        entries.map(async ({ clientId, message }) => {
          const why =
            refusalOfClient(clientId, config.limits) ?? refusalOfLasting(message, config.limits)
          if (why !== undefined) {
            report.leaveOut('will', why)
            return
          }
          const will = { clientId, user: this.#userOf(clientId), message }
          report.wills[dryRun ? 'imported' : await target.will(will, leftBehindBy)] += 1
        }),
      )
    }
  }

  #userOf(clientId: string): string | undefined {
    return this.#options.userIsClientId ? clientId : undefined
  }
}

/**
 * The lower of the message's QoS and what its filters were granted [MQTT-3.8.4-6]: aedes queues all of them with
 * the message's. One that was sent before keeps the QoS of its exchange.
 */
function granted(
  message: Message,
  packetId: number | undefined,
  subscriptions: readonly StoredSubscription[],
): Message {
  const { topic, payload, qos, retain } = message
  if (packetId !== undefined && qos > 0) return message
  let highest: QoS | undefined
  for (const { filter, qos: theirs } of subscriptions)
    if (theirs > (highest ?? -1) && topicMatchesFilter(topic, filter)) highest = theirs
  const lower = Math.max(1, Math.min(qos, highest ?? qos)) as QoS
  return new Message(topic, payload, lower, retain)
}

function whyRefused(refusal: FilterRefusal | undefined): string | undefined {
  return refusal && WHY_REFUSED[refusal]
}
