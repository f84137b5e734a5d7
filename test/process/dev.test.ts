/** `npm run dev`: a node from source that starts again when a file changes, with a log for people. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { utimesSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
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

it('a value of a log line that npm run dev prints can neither move the cursor nor look like another line', async () => {
  const facts = { level: 'info', time: '2026-01-02T03:04:05.678Z', clientId: 'a\u001b[2J\nb' }
  const line = JSON.stringify({ ...facts, plain: 'p', msg: 'connected\u009b2J' })
  const module = pathToFileURL(`${root}/deploy/local/log-line.mjs`).href
  const program = `import { readableLine } from '${module}'
    for (const line of process.argv.slice(1)) console.log(readableLine(line, false))`
  const args = ['--input-type=module', '--eval', program, line, 'raw\u001b[2J']
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout.split('\n')).toEqual([
    String.raw`03:04:05.678 info  connected\u{9b}2J  clientId="a\u001b[2J\nb" plain=p`,
    String.raw`raw\u{1b}[2J`,
    '',
  ])
})
