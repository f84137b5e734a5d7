/** Text of strangers in a log line: cut, and without what a terminal or a viewer of logs would obey. */

/**
 * Controls (C0, DEL, C1), the separators that some readers take for the end of a line, and the marks that turn or
 * hide text around them.
 */
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** At most `bytesMax` bytes of UTF-8; what was cut ends with `… (65000 bytes)`. */
export function boundedText(text: string, bytesMax: number): string {
  const isLong = text.length > bytesMax
  const plain = (isLong ? text.slice(0, bytesMax) : text).replace(OBEYED, shown).toWellFormed()
  if (!isLong && Buffer.byteLength(plain) <= bytesMax) return plain
  const mark = `… (${Buffer.byteLength(text)} bytes)`
  return cut(plain, bytesMax - Buffer.byteLength(mark)) + mark
}

/** `\u001b` for what it stands for. */
function shown(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Whole characters only. */
function cut(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  let end = Math.min(bytesMax, bytes.length)
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return bytes.toString('utf8', 0, end)
}
