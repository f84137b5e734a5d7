import { isUtf8 } from 'node:buffer'

/** Strings up to this length are checked byte by byte: cheaper than a call into the runtime. */
const SHORT = 64

/**
 * A UTF-8 string as MQTT wants it: well-formed, without surrogates [MQTT-1.5.3-1] and without U+0000
 * [MQTT-1.5.3-2]. Undefined if it is not.
 */
export function readUtf8(buffer: Buffer, start: number, end: number): string | undefined {
  if (end - start <= SHORT) {
    let index = start
    for (; index < end; index += 1) {
      const byte = buffer[index] as number
      if (byte === 0) return undefined
      if (byte > 127) break
    }
    if (index === end) return buffer.toString('latin1', start, end)
  }
  const bytes = buffer.subarray(start, end)
  if (bytes.includes(0) || !isUtf8(bytes)) return undefined
  return buffer.toString('utf8', start, end)
}
