/** One file out of a zip archive in memory, so that no `unzip` is needed. */
import { inflateRawSync } from 'node:zlib'

const endOfDirectory = 0x06054b50
const directoryEntry = 0x02014b50
const stored = 0
const deflated = 8

/** @throws {Error} the archive is damaged or does not hold the file */
export function readZipEntry(archive: Buffer, name: string): Buffer {
  const end = archive.lastIndexOf(signature(endOfDirectory))
  if (end === -1) throw new Error('not a zip archive')
  let at = archive.readUInt32LE(end + 16)
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    if (archive.readUInt32LE(at) !== directoryEntry) throw new Error('damaged zip directory')
    const nameLength = archive.readUInt16LE(at + 28)
    const nameStart = at + 46
    if (archive.toString('utf8', nameStart, nameStart + nameLength) === name)
      return content(archive, at)
    at = nameStart + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32)
  }
  throw new Error(`${name} is not in the archive`)
}

function content(archive: Buffer, entry: number): Buffer {
  const method = archive.readUInt16LE(entry + 10)
  const size = archive.readUInt32LE(entry + 20)
  const header = archive.readUInt32LE(entry + 42)
  // The local header repeats the name and may carry extra fields of another length.
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28)
  const bytes = archive.subarray(start, start + size)
  if (method === stored) return bytes
  if (method === deflated) return inflateRawSync(bytes)
  throw new Error(`unknown compression method ${method}`)
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
