// One stage of a test run as a process group of its own: what it leaves running ends with it, and a
// stage that hangs ends at its limit.
import { spawn } from 'node:child_process'

let current
let interrupted = false

/**
 * Resolves to `{ code, output, answer, seconds }`: both outputs together, and stdout alone as the
 * answer. A `shown` stage writes to the terminal itself.
 */
export function runStage({ program, args, env, cwd, limitMs, shown = false }) {
  if (interrupted)
    return Promise.resolve({ code: 130, output: 'interrupted', answer: '', seconds: 0 })
  const start = performance.now()
  const output = shown ? 'inherit' : 'pipe'
  const child = spawn(program, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', output, output],
  })
  current = child
  const [all, answer] = [[], []]
  child.stdout?.on('data', (chunk) => all.push(chunk) && answer.push(chunk))
  child.stderr?.on('data', (chunk) => all.push(chunk))
  const limit = setTimeout(() => {
    all.push(Buffer.from(`\nended after ${limitMs / 60_000} minutes\n`))
    endGroup(child, 'SIGKILL')
  }, limitMs)
  return new Promise((resolve) => {
    child.once('error', (error) => finish(127, error.message))
    child.once('exit', (code, signal) => {
      endGroup(child, 'SIGKILL')
      if (shown) finish(code ?? 1, signal === null ? '' : `ended by ${signal}`)
      else child.once('close', () => finish(code ?? 1, ''))
    })
    function finish(code, last) {
      clearTimeout(limit)
      current = undefined
      const seconds = (performance.now() - start) / 1_000
      resolve({ code, output: `${text(all)}${last}`, answer: text(answer), seconds })
    }
  })
}

/** Ends the stage that runs and lets no other begin. */
export function interruptStage(signal) {
  interrupted = true
  if (current !== undefined) endGroup(current, signal)
}

function endGroup({ pid }, signal) {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // ESRCH: nothing of the group is left, which is what was wanted.
    if (error.code !== 'ESRCH') throw error
  }
}

function text(chunks) {
  return Buffer.concat(chunks).toString('utf8')
}
