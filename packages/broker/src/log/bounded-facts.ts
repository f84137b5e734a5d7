/** The fields of a log line with every text in them bounded, however deep; whoever adds a field cannot forget it. */
import { boundedText } from './bounded-text.ts'

const DEPTH_MAX = 4
const ITEMS_MAX = 64
const FRAMES_MAX = 24
const FRAME_BYTES_MAX = 256

export function boundedFacts(facts: object, textBytesMax: number): Record<string, unknown> {
  return fieldsOf(facts, textBytesMax, DEPTH_MAX)
}

function fieldsOf(facts: object, bytesMax: number, depth: number): Record<string, unknown> {
  const fields = Object.entries(facts).slice(0, ITEMS_MAX)
  return Object.fromEntries(
    fields.map(([name, value]) => [
      boundedText(name, bytesMax),
      boundedValue(value, bytesMax, depth),
    ]),
  )
}

function boundedValue(value: unknown, bytesMax: number, depth: number): unknown {
  if (typeof value === 'string') return boundedText(value, bytesMax)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth === 0) return '…'
  if (value instanceof Error) return errorFields(value, bytesMax, depth - 1)
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  if (!Array.isArray(value)) return fieldsOf(value, bytesMax, depth - 1)
  const items = value.slice(0, ITEMS_MAX).map((item) => boundedValue(item, bytesMax, depth - 1))
  return value.length > ITEMS_MAX ? [...items, `… (${value.length} items)`] : items
}

/** Not its other properties: an error of a client library holds the command that failed, with what was published. */
function errorFields(error: Error, bytesMax: number, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error
  const { code } = error as { code?: unknown }
  return {
    type: boundedText(name, bytesMax),
    message: boundedText(message, bytesMax),
    ...(code === undefined ? {} : { code: boundedValue(code, bytesMax, depth) }),
    stack: framesOf(stack ?? ''),
    ...(cause === undefined ? {} : { cause: boundedValue(cause, bytesMax, depth) }),
  }
}

/** The message stands in front of the frames, and may be long. */
function framesOf(stack: string): string[] {
  const start = stack.indexOf('\n    at ')
  if (start === -1) return []
  const lines = stack.slice(start + 1).split('\n', FRAMES_MAX)
  return lines.map((line) => boundedText(line.trim(), FRAME_BYTES_MAX))
}
