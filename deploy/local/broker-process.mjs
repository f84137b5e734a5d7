// One broker as a child process: started in a process group of its own, so that a Ctrl-C reaches it
// once (forwarded) and not twice; asked over HTTP whether it is ready; ended by its own id.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { guard } from './guard.mjs'
import { root, SetupError } from './toolchain.mjs'

const readyPollMs = 100
// Longer than the broker's own BREAKWATER_SHUTDOWN_TIMEOUT (25 s): its way out comes first.
const stopTimeoutMs = 40_000

export const brokerEntry = join(root, 'packages', 'broker', 'dist', 'main.js')

/**
 * Starts `breakwater serve`. `prefix` marks each line of its log; without it the log passes as it is.
 * `exited` resolves to the exit code; `ready` to true once /readyz answers 200, to false if the
 * broker ended before.
 */
export async function startBroker({ node, env, args = [], prefix }) {
  const readyUrl = URL.canParse(env.BREAKWATER_ADMIN)
    ? new URL('/readyz', reachable(env.BREAKWATER_ADMIN))
    : undefined
  // Another node that answers there is not this one; this one is about to say that it cannot listen.
  const readable = readyUrl !== undefined && !(await answersOk(readyUrl))
  const output = prefix === undefined ? 'inherit' : 'pipe'
  const child = spawn(node, [brokerEntry, 'serve', ...args], {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', output, output],
  })
  if (child.pid === undefined) throw new SetupError(`cannot run ${node}`)
  const release = guard(child.pid)
  if (prefix !== undefined) {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => console.log(`${prefix} ${line}`))
    }
  }
  let ended = false
  const exited = new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      ended = true
      release()
      resolve(signal === null ? (code ?? 1) : 1)
    })
  })
  return { exited, ready: whenReady(), signal: (name) => child.kill(name), stop }

  async function whenReady() {
    if (!readable) return exited.then(() => false)
    for (;;) {
      const ok = await answersOk(readyUrl)
      if (ok || ended) return !ended
      await Promise.race([exited, delay(readyPollMs)])
    }
  }

  async function stop() {
    child.kill('SIGTERM')
    const last = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await exited
    clearTimeout(last)
  }
}

/** The address to call for an address that was bound: a wildcard means this machine. */
export function reachable(address) {
  const url = new URL(address)
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1'
  if (url.hostname === '[::]') url.hostname = '[::1]'
  return url
}

async function answersOk(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    // Not listening yet: it is asked again.
    return false
  }
}
