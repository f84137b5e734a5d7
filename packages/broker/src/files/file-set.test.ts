import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { FileFault, readFileSet } from './file-set.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-file-set-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** Swaps `..data` as a mounted Secret does, as fast as it can, until it is told to stop. */
const SWAP = `
const { mkdirSync, writeFileSync, symlinkSync, renameSync, rmSync } = require('node:fs')
const { join } = require('node:path')
const { workerData: { directory, stop }, parentPort } = require('node:worker_threads')
const at = (...names) => join(directory, ...names)
let before
for (let version = 1; Atomics.load(stop, 0) === 0; version += 1) {
  mkdirSync(at('..' + version))
  for (const name of ['tls.crt', 'tls.key']) writeFileSync(at('..' + version, name), String(version))
  symlinkSync('..' + version, at('..data_tmp'))
  renameSync(at('..data_tmp'), at('..data'))
  if (before === undefined) {
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), at(name))
    parentPort.postMessage('ready')
  } else rmSync(at('..' + before), { recursive: true })
  before = version
}
`

test('files read from a directory that is swapped continuously never mix two versions', async () => {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(SWAP, { eval: true, workerData: { directory, stop } })
  await once(worker, 'message')
  const paths = [join(directory, 'tls.crt'), join(directory, 'tls.key')]
  const versions = new Set<string>()
  let faults = 0
  for (let count = 0; count < 5_000; count += 1) {
    try {
      const { bytes } = readFileSet(paths)
      const [cert, key] = paths.map((path) => bytes.get(path)?.toString())
      expect(key).toBe(cert)
      versions.add(cert ?? '')
    } catch (error) {
      // It may never hold still; that is said, and nothing is guessed.
      if (!(error instanceof FileFault)) throw error
      faults += 1
    }
  }
  Atomics.store(stop, 0, 1)
  await once(worker, 'exit')
  expect(versions.size).toBeGreaterThan(10)
  expect(faults).toBeLessThan(5_000)
})

test('a missing file is named, and equal contents have equal digests', () => {
  const [one, other] = [join(directory, 'one'), join(directory, 'other')]
  writeFileSync(one, 'a')
  expect(() => readFileSet([one, other])).toThrow(
    expect.objectContaining({ path: other, code: 'ENOENT' }) as Error,
  )
  writeFileSync(other, 'b')
  const { digest } = readFileSet([one, other])
  expect(readFileSet([one, other]).digest).toBe(digest)
  writeFileSync(one, 'ab')
  writeFileSync(other, '')
  expect(readFileSet([one, other]).digest).not.toBe(digest)
})
