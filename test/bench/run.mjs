// `npm run bench`, `bench:handshake`, `bench:storm`: every broker beside the others, from a fresh checkout, in one command. Options
// and method: docs/BENCHMARKS.md, or `npm run bench -- --help`.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { forwardSignals } from '../../deploy/local/signals.mjs'
import { main, prepare, root } from '../../deploy/local/toolchain.mjs'

await main(async () => {
  // Breakwater is measured as it is shipped, compiled; what drives it runs from source.
  const { node, env } = await prepare({ build: ['packages/broker'] })
  const [program = 'main.ts', ...args] = process.argv.slice(2)
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
