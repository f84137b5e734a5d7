import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ensureDevelopmentCertificates } from './development.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'development-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

async function made(): Promise<string> {
  const { caPath, certFile, keyFile } = await ensureDevelopmentCertificates(directory)
  return [caPath, certFile, keyFile].map((path) => readFileSync(path, 'utf8')).join('')
}

it('nodes that start together use the same development certificates', async () => {
  const seen = await Promise.all(Array.from({ length: 5 }, () => made()))
  expect(new Set(seen).size).toBe(1)
  expect(await made()).toBe(seen[0])
  const read = (name: string): X509Certificate =>
    new X509Certificate(readFileSync(join(directory, name)))
  expect(read('server.crt').checkIssued(read('ca.crt'))).toBe(true)
  expect(existsSync(join(directory, 'lock'))).toBe(false)
})

it('a node does not wait for another node that died while making development certificates', async () => {
  const lock = join(directory, 'lock')
  mkdirSync(lock)
  utimesSync(lock, 0, 0)
  expect(await made()).toContain('CERTIFICATE')
})
