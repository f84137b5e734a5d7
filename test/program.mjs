// `npm run bench`, `soak`, `simulate` and the like: a program below this folder, from a fresh checkout, in one command.
//   node test/program.mjs soak/main.ts --minutes 30
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { forwardSignals } from '../deploy/local/signals.mjs'
import { main, prepare, root } from '../deploy/local/toolchain.mjs'

const [program = '', ...args] = process.argv.slice(2)

await main(async () => {
  // A bench measures Breakwater as it is shipped, compiled; what drives it runs from source.
  const { node, env } = await prepare(
    program.startsWith('bench/') ? { build: ['packages/broker'] } : {},
  )
  const file = fileURLToPath(new URL(program, import.meta.url))
  const child = spawn(node, ['--conditions=source', file, ...args], {
    cwd: root,
    env,
    // A Ctrl-C reaches it once, through the line below, and not twice.
    detached: true,
    stdio: 'inherit',
  })
  forwardSignals((signal) => child.kill(signal))
  process.exitCode = await new Promise((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (code) => resolve(code ?? 1))
  })
})
