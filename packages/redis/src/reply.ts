/** Answers of Redis as `Servers.call` gives them, with buffers for strings. */

/** Of HGETALL. */
export function fieldsOf(reply: unknown): [field: string, value: string][] {
  const texts = (reply as readonly Buffer[]).map(String)
  const fields: [string, string][] = []
  for (let index = 0; index < texts.length; index += 2)
    fields.push([texts[index] ?? '', texts[index + 1] ?? ''])
  return fields
}
