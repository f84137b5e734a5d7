/**
 * Draws what a storm was like: above, how many of the displaced devices were back; below, how long a round trip
 * took for devices that had never been disconnected. SVG without anything to load.
 */
import type { Moment } from './crowd.ts'
import type { StormReport } from './storm.ts'

interface Point {
  /** Seconds since the kill. */
  readonly s: number
  readonly value: number
}

interface Panel {
  readonly title: string
  readonly top: number
  readonly ticks: readonly number[]
  /** From 0, below, to 1, above. */
  readonly place: (value: number) => number
  readonly points: (report: StormReport) => readonly Point[]
}

const WIDTH = 760
const LEFT = 70
const RIGHT = 20
const PANEL_HEIGHT = 180
const GAP = 70
const TOP = 62
const HEIGHT = TOP + 2 * PANEL_HEIGHT + GAP + 50
const BEFORE_S = 3
const AFTER_S = 4
/** Of runs, in their order; told apart by lightness too. */
const COLOURS = ['#0b5fa5', '#e07b00'] as const
const LOG_MIN_MS = 1
const LOG_MAX_MS = 10_000

const PANELS: readonly Panel[] = [
  {
    title: 'devices of the killed node that are connected, %',
    top: TOP,
    ticks: [0, 25, 50, 75, 100],
    place: (value) => value / 100,
    points: (report) =>
      timed(report, report.displacedBooks.moments, ({ ready }) => (ready / report.displaced) * 100),
  },
  {
    title: 'round trip of those who stayed, p99 of each quarter of a second, ms',
    top: TOP + PANEL_HEIGHT + GAP,
    ticks: [1, 10, 100, 1_000, 10_000],
    place: (value) =>
      Math.log(Math.max(LOG_MIN_MS, value) / LOG_MIN_MS) / Math.log(LOG_MAX_MS / LOG_MIN_MS),
    points: (report) =>
      timed(
        report,
        report.stayed.moments.filter(({ deliveries }) => deliveries > 0),
        ({ p99Ms }) => p99Ms,
      ),
  },
]

export function drawStorms(runs: Readonly<Record<string, StormReport>>): string {
  const lastS = Math.max(...Object.values(runs).map(({ backMs }) => (backMs.all ?? 60_000) / 1_000))
  const endS = Math.ceil(lastS + AFTER_S)
  const x = (s: number): number =>
    LEFT + ((s + BEFORE_S) / (endS + BEFORE_S)) * (WIDTH - LEFT - RIGHT)
  const names = Object.entries(runs)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    ...names.map(([name], index) => {
      const at = LEFT + index * 220
      return `<path d="M${at} 18h24" stroke="${COLOURS[index]}" stroke-width="3"/><text x="${at + 30}" y="22">${name === 'none' ? 'without admission' : 'with admission'}</text>`
    }),
    ...PANELS.flatMap((panel) => drawPanel(panel, names, x, endS)),
    `<text x="${WIDTH / 2}" y="${HEIGHT - 8}" text-anchor="middle">seconds since the node was killed</text>`,
    '</svg>\n',
  ].join('\n')
}

function drawPanel(
  { title, top, ticks, place, points }: Panel,
  runs: readonly (readonly [string, StormReport])[],
  x: (s: number) => number,
  endS: number,
): string[] {
  const y = (value: number): number =>
    top + PANEL_HEIGHT * (1 - Math.min(1, Math.max(0, place(value))))
  const stepS = [1, 2, 5, 10, 20, 30].find((step) => endS / step <= 12) ?? 60
  const marks = Array.from({ length: Math.floor(endS / stepS) + 1 }, (_, index) => index * stepS)
  const bottom = top + PANEL_HEIGHT
  return [
    `<text x="${LEFT}" y="${top - 10}" font-weight="bold">${title}</text>`,
    ...ticks.map(
      (tick) =>
        `<path d="M${LEFT} ${y(tick)}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 8}" y="${y(tick) + 4}" text-anchor="end">${tick.toLocaleString('en-US')}</text>`,
    ),
    ...marks.map(
      (mark) =>
        `<path d="M${x(mark)} ${bottom}v5" stroke="#888"/><text x="${x(mark)}" y="${bottom + 18}" text-anchor="middle">${mark}</text>`,
    ),
    `<path d="M${x(0)} ${top}V${bottom}" stroke="#888" stroke-dasharray="4 3"/>`,
    ...runs.map(([, report], index) => {
      const line = points(report)
        .filter(({ s }) => s >= -BEFORE_S && s <= endS)
        .map(({ s, value }) => `${x(s).toFixed(1)},${y(value).toFixed(1)}`)
        .join(' ')
      return `<polyline points="${line}" fill="none" stroke="${COLOURS[index]}" stroke-width="1.8"/>`
    }),
  ]
}

function timed(
  { killedAtUs }: StormReport,
  moments: readonly Moment[],
  valueOf: (moment: Moment) => number,
): Point[] {
  return moments.map((moment) => ({
    s: (moment.atUs - killedAtUs) / 1_000_000,
    value: valueOf(moment),
  }))
}
