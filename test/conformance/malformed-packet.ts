/**
 * Malformed packets are data: `data/*.json`, one test per entry. Its `bytes` are words:
 *   - hexadecimal digits: these bytes; with `*n` behind them, n times
 *   - `len`: the remaining length of everything that follows
 *   - `s(text)`: a string field, its length before it; `$id` and `$topic` in it are unique names
 */
import { readdirSync, readFileSync } from 'node:fs'
import { bytesOf, field, remainingLength } from '../kit/wire-encoder.ts'

interface MalformedPacket {
  readonly clause: string
  readonly name: string
  readonly bytes: string
  /** `first`: instead of a CONNECT. Default: `connected`, after a good one; in connect.json `first`. */
  readonly when?: 'first' | 'connected'
  /** The client ends its side after these bytes. */
  readonly end?: boolean
  /** The reason that Breakwater logs. Default: `malformed-packet` or `protocol-violation`. */
  readonly reason?: string
}

export interface MalformedPackets {
  /** The name of the file: what its packets have in common. */
  readonly title: string
  readonly packets: readonly MalformedPacket[]
}

const folder = new URL('./data/', import.meta.url)

export function readMalformedPackets(): MalformedPackets[] {
  return readdirSync(folder)
    .sort()
    .map((file) => {
      const title = file.replace('.json', '')
      const entries = JSON.parse(
        readFileSync(new URL(file, folder), 'utf8'),
      ) as readonly MalformedPacket[]
      const when = title === 'connect' ? 'first' : 'connected'
      return { title, packets: entries.map((entry) => ({ when, ...entry })) }
    })
}

export function encodeWords(words: string, names: { id: string; topic: string }): Buffer {
  const parts: Buffer[] = []
  let lengthAt: number | undefined
  for (const word of words.split(' ').filter((text) => text !== '')) {
    const text = /^s\((.*)\)$/.exec(word)?.[1]
    const [, digits, times = '1'] = /^((?:[0-9a-f]{2})+)(?:\*(\d+))?$/.exec(word) ?? []
    if (word === 'len') lengthAt = parts.length
    else if (text !== undefined) {
      parts.push(field(bytesOf(text.replace('$id', names.id).replace('$topic', names.topic))))
    } else if (digits !== undefined) {
      parts.push(Buffer.from(digits.repeat(Number(times)), 'hex'))
    } else throw new Error(`«${word}» is no word of a malformed packet`)
  }
  if (lengthAt !== undefined) {
    const body = Buffer.concat(parts.slice(lengthAt))
    parts.splice(lengthAt, 0, remainingLength(body.length))
  }
  return Buffer.concat(parts)
}
