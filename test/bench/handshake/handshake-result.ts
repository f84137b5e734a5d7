/** What the handshakes of a run come to: medians, ratios within a round, and what was to be reached. */
import { cpus, release } from 'node:os'
import { mosquittoVersion } from '../broker.ts'
import type { Outcome } from '../goal.ts'
import type { HandshakeServer } from './handshake-servers.ts'
import { significant } from '../report.ts'
import { pairedByRound, spreadOf, type Spread } from '../statistics.ts'

const HANDSHAKE_SCHEMA = 'breakwater-handshake/1'
const FULL_AT_MOST = 1.3
const RESUMED_AT_MOST = 0.75
const NONE = '–'

export interface HandshakeCase {
  readonly keys: 'ecdsa' | 'rsa'
  /** Whether clients show certificates. */
  readonly mutual: boolean
}

export const KINDS = ['full', 'resumed', 'with-mqtt'] as const
/** TLS alone, in full or by a ticket; in full with CONNECT, CONNACK and DISCONNECT behind it. */
export type Kind = (typeof KINDS)[number]

export const HANDSHAKE_CASES: readonly HandshakeCase[] = [
  { keys: 'ecdsa', mutual: false },
  { keys: 'ecdsa', mutual: true },
  { keys: 'rsa', mutual: false },
  { keys: 'rsa', mutual: true },
]

export interface HandshakeSample extends HandshakeCase {
  readonly server: HandshakeServer
  readonly kind: Kind
  readonly round: number
  /** CPU time of the server per connection; undefined where it does not count, and `invalid` says why. */
  readonly cpuUs?: number
  readonly invalid?: string
}

interface HandshakeRow extends HandshakeCase {
  readonly kind: Kind
  readonly cpuUs: Partial<Record<HandshakeServer, Spread>>
  /** Within the rounds. */
  readonly timesMosquitto: Spread | undefined
  readonly timesBare: Spread | undefined
}

export interface HandshakeResult {
  readonly schema: typeof HANDSHAKE_SCHEMA
  readonly startedAt: string
  readonly finishedAt: string
  readonly environment: Readonly<
    Record<'node' | 'openssl' | 'mosquitto' | 'kernel' | 'cpu', string>
  >
  readonly connectionsPerSample: number
  readonly rows: readonly HandshakeRow[]
  readonly outcomes: readonly Outcome[]
  readonly samples: readonly HandshakeSample[]
}

export function describeHandshakes(
  startedAt: Date,
  connectionsPerSample: number,
  samples: readonly HandshakeSample[],
): HandshakeResult {
  const taken = (server: HandshakeServer, one: HandshakeCase, kind: Kind) =>
    samples.flatMap((sample) =>
      sample.server === server &&
      sample.keys === one.keys &&
      sample.mutual === one.mutual &&
      sample.kind === kind &&
      sample.cpuUs !== undefined
        ? [{ round: sample.round, cpuUs: sample.cpuUs }]
        : [],
    )
  const ratio = (
    ours: ReturnType<typeof taken>,
    theirs: ReturnType<typeof taken>,
  ): Spread | undefined => spreadOf(pairedByRound(ours, theirs, (a, b) => a.cpuUs / b.cpuUs))
  const rows = HANDSHAKE_CASES.flatMap((one) =>
    KINDS.map((kind) => {
      const ours = taken('breakwater', one, kind)
      const cpuUs: Partial<Record<HandshakeServer, Spread>> = {}
      for (const server of ['breakwater', 'mosquitto', 'bare'] as const) {
        const spread = spreadOf(taken(server, one, kind).map((sample) => sample.cpuUs))
        if (spread !== undefined) cpuUs[server] = spread
      }
      return {
        ...one,
        kind,
        cpuUs,
        timesMosquitto: ratio(ours, taken('mosquitto', one, kind)),
        timesBare: ratio(ours, taken('bare', one, kind)),
      }
    }),
  )
  const outcomes = HANDSHAKE_CASES.flatMap((one) => {
    const full = taken('breakwater', one, 'full')
    const rivals = taken('mosquitto', one, 'full')
    const resumed = taken('breakwater', one, 'resumed')
    const first = outcome(
      `${nameOf(one)}: full ≤ ${FULL_AT_MOST} × Mosquitto`,
      ratio(full, rivals),
      FULL_AT_MOST,
    )
    const second = outcome(
      `${nameOf(one)}: resumed ≤ ${RESUMED_AT_MOST} × full`,
      ratio(resumed, full),
      RESUMED_AT_MOST,
    )
    return one.mutual ? [first, second] : [first]
  })
  return {
    schema: HANDSHAKE_SCHEMA,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    environment: {
      node: process.version,
      openssl: process.versions.openssl,
      mosquitto: mosquittoVersion() ?? 'none',
      kernel: release(),
      cpu: cpus()[0]?.model ?? 'unknown',
    },
    connectionsPerSample,
    rows,
    outcomes,
    samples,
  }
}

function outcome(goal: string, measured: Spread | undefined, bound: number): Outcome {
  return {
    goal,
    measured: measured?.median,
    reached: measured === undefined ? undefined : measured.median <= bound,
  }
}

function nameOf({ keys, mutual }: HandshakeCase): string {
  return `${keys === 'rsa' ? 'RSA 2048' : 'ECDSA P-256'}, ${mutual ? 'mTLS' : 'TLS'}`
}

/** As Markdown. */
export function formatHandshakes({ rows, outcomes, samples }: HandshakeResult): string {
  const cells = rows.map(({ kind, cpuUs, timesMosquitto, timesBare, ...one }) => [
    `${nameOf(one)}, ${TITLES[kind]}`,
    formatSpread(cpuUs.breakwater, 0),
    formatSpread(cpuUs.mosquitto, 0),
    formatSpread(cpuUs.bare, 0),
    formatSpread(timesMosquitto, 2),
    formatSpread(timesBare, 2),
  ])
  const invalid = samples.filter((sample) => sample.invalid !== undefined)
  return [
    '| CPU of the server per connection, µs | Breakwater | Mosquitto | bare `tls.Server` | × Mosquitto | × bare |',
    '|---|---:|---:|---:|---:|---:|',
    ...cells.map((row) => `| ${row.join(' | ')} |`),
    '',
    '| goal | measured |  |',
    '|---|---:|---:|',
    ...outcomes.map(({ goal, measured, reached }) => {
      const verdict = reached === undefined ? 'not measured' : reached ? 'reached' : '**missed**'
      return `| ${goal} | ${measured === undefined ? NONE : significant(measured)} | ${verdict} |`
    }),
    ...invalid.map(
      ({ server, kind, invalid: why, ...one }) => `* ${server}, ${nameOf(one)}, ${kind}: ${why}`,
    ),
  ].join('\n')
}

const TITLES: Readonly<Record<Kind, string>> = {
  full: 'full',
  resumed: 'resumed',
  'with-mqtt': 'full, and MQTT',
}

function formatSpread(spread: Spread | undefined, digits: number): string {
  if (spread === undefined) return NONE
  const [median, min, max] = [spread.median, spread.min, spread.max].map((n) => n.toFixed(digits))
  return `${median} (${min}–${max})`
}
