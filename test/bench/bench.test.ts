/** The benchmark command, run once, as short as possible. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { skipWithout } from '../kit/program.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const BREAKWATER = new URL('../../packages/broker/dist/main.js', import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'breakwater-bench-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Finished {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const bench = (...args: string[]): Promise<Finished> =>
  new Promise((resolve) => {
    execFile(process.execPath, ['--conditions=source', MAIN, ...args], (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })

test('a benchmark run measures every broker and writes a result file', async (context) => {
  skipWithout(context, 'mosquitto')
  if (!existsSync(BREAKWATER)) context.skip('packages/broker is not built')
  const file = join(folder, 'result.json')
  const { exitCode, stdout, stderr } = await bench(
    '--quick',
    '--only=pairs-qos0',
    '--seconds=0.3',
    `--out=${file}`,
  )
  expect(stderr).toMatch(/\[1\/3 .*pairs-qos0 +breakwater/)
  expect(exitCode, stderr).toBe(0)
  expect(stdout).toMatch(/\| `pairs-qos0` \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \|/)
  const result = JSON.parse(readFileSync(file, 'utf8')) as {
    schema: string
    scenarios: { brokers: { broker: string; cpuUsPerMessage: number[] }[] }[]
  }
  expect(result.schema).toBe('breakwater-bench/1')
  const brokers = result.scenarios.flatMap((scenario) => scenario.brokers)
  expect(brokers.map(({ broker }) => broker)).toEqual(['breakwater', 'stock', 'mosquitto'])
  for (const { cpuUsPerMessage } of brokers) expect(cpuUsPerMessage[0]).toBeGreaterThan(0)
})

test('the benchmark refuses an unknown scenario in one line', async () => {
  const { exitCode, stdout, stderr } = await bench('--only', 'no-such')
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'bench: --only: no scenario begins with "no-such"; --list shows all\n',
  })
})
