/** Answers of Redis as `Servers.call` gives them, with buffers for strings. */

/** Of HGETALL, which ioredis makes an object of. */
export function fieldsOf(reply: unknown): [field: string, value: string][] {
  return Object.entries(reply as Readonly<Record<string, Buffer>>).map(([field, value]) => [
    field,
    value.toString(),
  ])
}
