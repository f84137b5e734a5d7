// A line of the log as people read it: `04:02:36.410 info  node is ready  nodeId=7f3a listen=[…]`.
const colours = { debug: 90, info: 32, warn: 33, error: 31, fatal: 31 }

/**
 * A line that is no JSON of a log comes back as it is. What clients have chosen can hold what clears a terminal, or
 * looks like a line of its own: control characters are shown and not sent.
 */
export function readableLine(line, isColoured) {
  const facts = parsed(line)
  if (facts === undefined) return printable(line)
  const { level, time, msg = '', ...rest } = facts
  const clock = printable(String(time).replace(/^.*T/, '').replace(/Z$/, ''))
  const paint = (code, text) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text)
  const fields = Object.entries(rest).map(([name, value]) => `${printable(name)}=${shown(value)}`)
  const word = paint(colours[level] ?? 0, printable(String(level)).padEnd(5))
  const head = `${paint(90, clock)} ${word} ${printable(String(msg))}`
  return fields.length === 0 ? head : `${head}  ${paint(90, fields.join(' '))}`
}

/** In quotes where it could be taken for more than one value. */
function shown(value) {
  const isPlain = typeof value === 'string' && /^[^\s"=\p{C}]+$/u.test(value)
  return isPlain ? value : printable(JSON.stringify(value))
}

function printable(text) {
  return text.replaceAll(
    /\p{C}/gu,
    (character) => `\\u{${character.codePointAt(0).toString(16).padStart(2, '0')}}`,
  )
}

function parsed(line) {
  if (!line.startsWith('{')) return undefined
  try {
    const facts = JSON.parse(line)
    return typeof facts.level === 'string' ? facts : undefined
  } catch {
    return undefined
  }
}
