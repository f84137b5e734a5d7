/**
 * The one way into the log of a node.
 *
 *   events → kind (kinds.ts) → rate (line-rate.ts) → bounded fields (bounded-facts.ts) → pino → output.ts → stdout
 *
 * In: facts, each line of one kind. Out: lines whose texts are cut, so many a second of each kind and of each
 * client. Bounds: `logTextBytesMax`, `logLinesPerSecondMax`, `logLinesPerClientPerSecondMax`; what is suppressed is
 * counted, and told by one line per kind each `logSummaryMs`. One timer, and only while there is something to tell.
 */
import type { Limits } from '@breakwater/config'
import type { Counter } from '@breakwater/metrics'
import type { Logger } from 'pino'
import type { BrokerInstruments } from '../observe/instruments.ts'
import { boundedFacts } from './bounded-facts.ts'
import { boundedText } from './bounded-text.ts'
import { LOG_KINDS, logKinds, type LogKind } from './kinds.ts'
import { LineRate, type Subject } from './line-rate.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type LineFacts = object | (() => object)

export type LogLimits = Pick<
  Limits,
  'logTextBytesMax' | 'logLinesPerSecondMax' | 'logLinesPerClientPerSecondMax' | 'logSummaryMs'
>

export interface NodeLogOptions {
  readonly logger: Logger
  readonly limits: LogLimits
  readonly instruments: BrokerInstruments
}

interface Kind {
  readonly id: LogKind
  readonly rate: LineRate
  readonly textBytesMax: number
  readonly suppressed: Counter
}

/** What an operator chose, such as the path of a file and what is wrong in it. */
const OPERATORS_TEXT_BYTES_MAX = 4_096

export class NodeLog implements Disposable {
  readonly #logger: Logger
  readonly #limits: LogLimits
  readonly #kinds: Readonly<Record<LogKind, Kind>>
  #timer: NodeJS.Timeout | undefined

  constructor({ logger, limits, instruments }: NodeLogOptions) {
    this.#logger = logger
    this.#limits = limits
    const suppressed = instruments.counter('log_lines_suppressed_total')
    this.#kinds = Object.fromEntries(
      logKinds.map((id) => {
        const { everyMs, isOperators = false } = LOG_KINDS[id]
        const rate = new LineRate({
          perSecond: limits.logLinesPerSecondMax,
          perSubjectPerSecond: limits.logLinesPerClientPerSecondMax,
          ...(everyMs === undefined ? {} : { everyMs }),
        })
        const textBytesMax = isOperators
          ? Math.max(limits.logTextBytesMax, OPERATORS_TEXT_BYTES_MAX)
          : limits.logTextBytesMax
        return [id, { id, rate, textBytesMax, suppressed: suppressed.cell({ kind: id }) }]
      }),
    ) as Record<LogKind, Kind>
  }

  /**
   * @param facts a function where lines may be many: it is called for those that are written
   * @param subject the client or the cause that it is about, where others of this kind must not suffer for it
   */
  say(id: LogKind, level: LogLevel, facts: LineFacts, message: string, subject?: Subject): void {
    if (!this.#logger.isLevelEnabled(level)) return
    const kind = this.#kinds[id]
    if (kind.rate.takes(subject, performance.now()))
      this.#logger[level](
        boundedFacts(typeof facts === 'function' ? facts() : facts, kind.textBytesMax),
        boundedText(message, OPERATORS_TEXT_BYTES_MAX),
      )
    else {
      kind.suppressed.add(1)
      this.#timer ??= setTimeout(() => this.#summarise(), this.#limits.logSummaryMs).unref()
    }
  }

  /** What was suppressed is told. */
  [Symbol.dispose](): void {
    this.#summarise()
  }

  #summarise(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const { id, rate } of Object.values(this.#kinds)) {
      const suppressed = rate.takeSuppressed()
      if (suppressed === undefined) continue
      const { lines, clients, orMore } = suppressed
      this.#logger.warn(
        { kind: id, lines, clients },
        `${lines} suppressed, ${clients} clients${orMore ? ' or more' : ''}`,
      )
    }
  }
}
