import { isUtf8 } from 'node:buffer'

/** Strings up to this length are checked byte by byte: cheaper than a call into the runtime. */
const SHORT = 64

/**
 * A UTF-8 string as MQTT wants it: well-formed, without surrogates [MQTT-1.5.3-1] and without U+0000
 * [MQTT-1.5.3-2]. Undefined if it is not.
 */
export function readUtf8(buffer: Buffer, start: number, end: number): string | undefined {
  if (isShortAscii(buffer, start, end)) return buffer.toString('latin1', start, end)
  return isWellFormed(buffer, start, end) ? buffer.toString('utf8', start, end) : undefined
}

/** Whether `readUtf8` would return a string; none is made. */
export function isUtf8Text(buffer: Buffer, start: number, end: number): boolean {
  return isShortAscii(buffer, start, end) || isWellFormed(buffer, start, end)
}

function isShortAscii(buffer: Buffer, start: number, end: number): boolean {
  if (end - start > SHORT) return false
  for (let index = start; index < end; index += 1) {
    const byte = buffer[index] as number
    if (byte === 0 || byte > 127) return false
  }
  return true
}

function isWellFormed(buffer: Buffer, start: number, end: number): boolean {
  const bytes = buffer.subarray(start, end)
  return !bytes.includes(0) && isUtf8(bytes)
}
