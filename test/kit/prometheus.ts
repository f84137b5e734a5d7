/** A Prometheus of its own that scrapes what a test names. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { guardProgram } from './program-guard.ts'
import { freePort } from './redis/redis-process.ts'

export interface Prometheus extends AsyncDisposable {
  /** The value of each series that an instant query gives. */
  query(expression: string): Promise<number[]>
}

const SCRAPE_INTERVAL = '1s'

export async function startPrometheus(
  program: string,
  targets: readonly string[],
): Promise<Prometheus> {
  const directory = mkdtempSync(join(tmpdir(), 'prometheus-'))
  const configFile = join(directory, 'prometheus.yml')
  writeFileSync(
    configFile,
    JSON.stringify({
      global: { scrape_interval: SCRAPE_INTERVAL },
      scrape_configs: [{ job_name: 'breakwater', static_configs: [{ targets }] }],
    }),
  )
  const port = await freePort()
  const child = spawn(
    program,
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const exited = once(child, 'exit')
  const callOff = guardProgram(child.pid ?? 0, directory)
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.includes('Server is ready')) resolve()
    })
  })
  const failed = exited.then(([code]) => {
    throw new Error(`prometheus exited with ${code}`)
  })
  await Promise.race([ready, failed])
  failed.catch(() => undefined)
  return {
    async query(expression: string): Promise<number[]> {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`
      const answer = (await (await fetch(url)).json()) as {
        data: { result: { value: [number, string] }[] }
      }
      return answer.data.result.map(({ value }) => Number(value[1]))
    },
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill('SIGTERM')
      await exited
      callOff()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
