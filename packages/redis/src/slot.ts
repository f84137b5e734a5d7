/** Which slot of a Redis Cluster a key lies in, as the cluster specification has it. */
export const SLOTS = 16_384

/** CRC16 (XMODEM) of the key's hash tag, or of the whole key where it has none. */
export function slotOf(key: string): number {
  const bytes = Buffer.from(taggedPart(key))
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
    crc &= 0xffff
  }
  return crc % SLOTS
}

/** Between the first brace and the next one that closes, unless there is nothing. */
function taggedPart(key: string): string {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : key
}
