// `npm run simulate`: the model under test/simulate, from a fresh checkout, in one command.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { forwardSignals } from '../../deploy/local/signals.mjs'
import { main, prepare, root } from '../../deploy/local/toolchain.mjs'

const program = fileURLToPath(new URL('./main.ts', import.meta.url))

await main(async () => {
  const { node, env } = await prepare()
  const child = spawn(node, ['--conditions=source', program, ...process.argv.slice(2)], {
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
