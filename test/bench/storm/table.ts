import type { StormReport } from './storm.ts'

type Row = readonly [what: string, of: (report: StormReport) => string]

const ROWS: readonly Row[] = [
  ['devices; of the killed node', (r) => `${n(r.devices)}; ${n(r.displaced)}`],
  ['half of them back, s', (r) => seconds(r.backMs.p50)],
  ['99 % back, s', (r) => seconds(r.backMs.p99)],
  ['all back, s', (r) => seconds(r.backMs.all)],
  ['handshakes; resumed', (r) => handshakes(r)],
  [
    'from dialing to TLS, p50 / p99, ms',
    (r) => `${ms(r.storm.displaced.handshake.p50Ms)} / ${ms(r.storm.displaced.handshake.p99Ms)}`,
  ],
  ['connections shed or failed on the way', (r) => n(sum(r.storm.displaced.failed))],
  ['messages sent; acknowledged and lost', (r) => books(r)],
  [
    'those who stayed: round trip when calm, p50 / p99, ms',
    (r) => `${ms(r.calm.stayed.latency.p50Ms)} / ${ms(r.calm.stayed.latency.p99Ms)}`,
  ],
  [
    'those who stayed: in the storm, p50 / p99 / max, ms',
    (r) =>
      `${ms(r.storm.stayed.latency.p50Ms)} / ${ms(r.storm.stayed.latency.p99Ms)} / ${ms(r.storm.stayed.latency.maxMs)}`,
  ],
  ['of it the generator’s own lateness, p99, ms', (r) => ms(r.storm.stayed.lag.p99Ms)],
  ['those who stayed that lost their connection', (r) => n(r.storm.stayed.lostConnections)],
  [
    'cores in use: nodes / Redis / devices',
    (r) =>
      [
        (r.cores['node 2'] ?? 0) + (r.cores['node 3'] ?? 0),
        r.cores['redis'] ?? 0,
        (r.cores['displaced devices'] ?? 0) + (r.cores['stayed devices'] ?? 0),
      ]
        .map((cores) => cores.toFixed(2))
        .join(' / '),
  ],
]

/** Markdown: a column for each run. */
export function stormTable(runs: Readonly<Record<string, StormReport>>): string {
  const reports = Object.values(runs)
  return [
    `| | ${Object.keys(runs).join(' | ')} |`,
    `|---|${reports.map(() => '---:|').join('')}`,
    ...ROWS.map(([what, of]) => `| ${what} | ${reports.map(of).join(' | ')} |`),
  ].join('\n')
}

function handshakes({ storm }: StormReport): string {
  const { handshakes, resumed } = storm.displaced
  return `${n(handshakes)}; ${Math.round((resumed / Math.max(1, handshakes)) * 100)} %`
}

function books({ stayed, displacedBooks }: StormReport): string {
  return `${n(stayed.sent + displacedBooks.sent)}; ${n(stayed.lost + displacedBooks.lost)}`
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function seconds(value: number | undefined): string {
  return value === undefined ? 'never' : (value / 1_000).toFixed(1)
}

function ms(value: number): string {
  return value < 10 ? value.toFixed(1) : n(Math.round(value))
}

function n(value: number): string {
  return value.toLocaleString('en-US')
}
