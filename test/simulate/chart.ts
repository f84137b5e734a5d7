/** Curves over the number of nodes as one SVG, readable on a light and on a dark page. */

export interface Curve {
  readonly name: string
  readonly color: string
  /** Dashed: not what is, but what it is compared with. */
  readonly dashed?: boolean
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Panel {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly curves: readonly Curve[]
}

const PANEL = { width: 460, height: 340, left: 66, right: 18, top: 54, bottom: 58 } as const
const FONT = 'font-family="Helvetica, Arial, sans-serif"'
const INK = '#24292f'
const GRID = '#d8dee4'
const TICKS = 5

export function drawChart(title: string, panels: readonly Panel[]): string {
  const width = PANEL.width * panels.length
  const height = PANEL.height + 34
  const body = panels.map((panel, index) => drawPanel(panel, index * PANEL.width, 34))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(width / 2, 24, title, { size: 16, weight: 'bold', anchor: 'middle' }),
    ...body,
    '</svg>',
    '',
  ].join('\n')
}

function drawPanel({ title, xLabel, yLabel, curves }: Panel, left: number, top: number): string {
  const points = curves.flatMap((curve) => curve.points)
  const xTicks = ticksFor(Math.max(...points.map(([x]) => x)))
  const yTicks = ticksFor(Math.max(...points.map(([, y]) => y)))
  const [xMax, yMax] = [xTicks.at(-1) ?? 1, yTicks.at(-1) ?? 1]
  const area = {
    x: left + PANEL.left,
    y: top + PANEL.top,
    width: PANEL.width - PANEL.left - PANEL.right,
    height: PANEL.height - PANEL.top - PANEL.bottom,
  }
  const x = (value: number): number => area.x + (value / xMax) * area.width
  const y = (value: number): number => area.y + area.height - (value / yMax) * area.height
  const lines = [text(area.x, top + 20, title, { size: 13, weight: 'bold' })]
  for (const tick of yTicks) {
    lines.push(line([area.x, y(tick)], [area.x + area.width, y(tick)], GRID))
    lines.push(text(area.x - 8, y(tick) + 4, label(tick), { size: 11, anchor: 'end' }))
  }
  for (const tick of xTicks) {
    lines.push(line([x(tick), y(0)], [x(tick), y(0) + 5], INK))
    lines.push(text(x(tick), y(0) + 18, label(tick), { size: 11, anchor: 'middle' }))
  }
  lines.push(line([area.x, area.y], [area.x, y(0)], INK))
  lines.push(line([area.x, y(0)], [area.x + area.width, y(0)], INK))
  lines.push(text(area.x + area.width / 2, y(0) + 40, xLabel, { size: 12, anchor: 'middle' }))
  const [across, down] = [left + 16, area.y + area.height / 2]
  lines.push(
    text(across, down, yLabel, {
      size: 12,
      anchor: 'middle',
      turned: `rotate(-90 ${across} ${fixed(down)})`,
    }),
  )
  for (const [index, { name, color, dashed, points: own }] of curves.entries()) {
    const path = own.map(([px, py]) => `${fixed(x(px))},${fixed(y(py))}`).join(' ')
    const dash = dashed === true ? ' stroke-dasharray="6 4"' : ''
    lines.push(
      `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2.2"${dash}/>`,
    )
    const row = area.y + 14 + index * 17
    lines.push(
      `<line x1="${fixed(area.x + 10)}" y1="${fixed(row - 4)}" x2="${fixed(area.x + 34)}" y2="${fixed(row - 4)}" stroke="${color}" stroke-width="2.2"${dash}/>`,
    )
    lines.push(text(area.x + 40, row, name, { size: 11.5 }))
  }
  return lines.join('\n')
}

/** From 0, in round steps, to just above the largest value. */
function ticksFor(max: number): number[] {
  const rough = Math.max(max, Number.EPSILON) / TICKS
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5].find((factor) => factor * power >= rough) ?? 10) * power
  const count = Math.ceil(max / step - 1e-9)
  return Array.from({ length: count + 1 }, (_, index) => index * step)
}

interface TextStyle {
  readonly size: number
  readonly weight?: 'bold'
  readonly anchor?: 'middle' | 'end'
  readonly turned?: string
}

function text(x: number, y: number, content: string, style: TextStyle): string {
  const { size, weight, anchor, turned } = style
  const extra = [
    weight === undefined ? '' : ` font-weight="${weight}"`,
    anchor === undefined ? '' : ` text-anchor="${anchor}"`,
    turned === undefined ? '' : ` transform="${turned}"`,
  ].join('')
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${FONT} font-size="${size}" fill="${INK}"${extra}>${escape(content)}</text>`
}

function line(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
  color: string,
): string {
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="${color}"/>`
}

function label(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US')
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
