// A line of the log as people read it: `04:02:36.410 info  node ready  id=7f3a listeners=…`.
const colours = { debug: 90, info: 32, warn: 33, error: 31, fatal: 31 }

/** A line that is no JSON of a log comes back as it is. */
export function readableLine(line, isColoured) {
  const facts = parsed(line)
  if (facts === undefined) return line
  const { level, time, msg = '', ...rest } = facts
  const clock = String(time).replace(/^.*T/, '').replace(/Z$/, '')
  const paint = (code, text) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text)
  const fields = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const head = `${paint(90, clock)} ${paint(colours[level] ?? 0, String(level).padEnd(5))} ${msg}`
  return fields.length === 0 ? head : `${head}  ${paint(90, fields.join(' '))}`
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
