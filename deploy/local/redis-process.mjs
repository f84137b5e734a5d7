// The Redis that a local cluster shares when the user names none: a redis-server of its own on a free
// port, with nothing written to disk, gone with the cluster.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { guard } from './guard.mjs'
import { SetupError } from './toolchain.mjs'

const program = 'redis-server'
const missing =
  'a cluster needs a Redis: set BREAKWATER_REDIS_URL, or install redis-server ' +
  '(apt-get install redis-server, brew install redis)'

/** Resolves to `{ url, exited, stop }` once Redis accepts connections. */
export async function startRedis() {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'breakwater-redis-'))
  const settings = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction']
  const child = spawn(
    program,
    ['--bind', '127.0.0.1', '--port', `${port}`, '--dir', directory, ...settings],
    // A group of its own: a Ctrl-C must not end Redis before the nodes have said good-bye to it.
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const exited = new Promise((resolve) => {
    child.once('error', resolve)
    child.once('exit', resolve)
  }).finally(() => rmSync(directory, { recursive: true, force: true }))
  const said = []
  const ready = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line)
        if (said.length > 5) said.shift()
        if (line.includes('Ready to accept connections')) resolve(true)
      })
    }
  })
  const release = child.pid === undefined ? () => undefined : guard(child.pid, directory)
  if ((await Promise.race([ready, exited])) !== true) {
    release()
    if (child.pid === undefined) throw new SetupError(missing)
    throw new SetupError('redis-server did not start, see above', said.join('\n'))
  }
  return { url: `redis://127.0.0.1:${port}`, exited, stop }

  async function stop() {
    child.kill('SIGTERM')
    await exited
    release()
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
