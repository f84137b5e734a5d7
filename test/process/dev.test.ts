/** `npm run dev`: a node from source that starts again when a file changes, with a log for people. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { utimesSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('npm run dev starts a node from source, restarts the node when a source file changes, and ends at a signal', async () => {
  const child = spawn(process.execPath, [`${root}/deploy/local/dev.mjs`], {
    env: {
      PATH: process.env['PATH'],
      NO_COLOR: '1',
      BREAKWATER_LISTEN: 'mqtt://127.0.0.1:0?anonymous=true',
      BREAKWATER_ADMIN: 'http://127.0.0.1:0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const waiting: { what: RegExp; resolve: () => void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const { what, resolve } of waiting) if (what.test(line)) resolve()
  })
  const said = (what: RegExp): Promise<void> =>
    Promise.race([
      new Promise<void>((resolve) => waiting.push({ what, resolve })),
      once(child, 'close').then(() => expect.fail(lines.join('\n'))),
    ])
  await said(/ info +node is ready /)
  const again = said(/^Restarting /)
  const readyAgain = said(/ info +node has stopped/).then(() => said(/ info +node is ready /))
  utimesSync(`${root}/packages/broker/src/version.ts`, new Date(), new Date())
  await again
  await readyAgain
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  await ended
  const ready = lines.find((line) => line.includes('node is ready'))
  expect(ready).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info  node is ready {2}.*\blisten=\[/)
  expect(lines[0]).toMatch(/^dev: .*; it starts again when a file changes/)
})
