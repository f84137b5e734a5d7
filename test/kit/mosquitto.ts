/** An installed Mosquitto 2 as a second opinion: plain TCP on a free port, its files in a temporary folder. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface MosquittoOptions {
  /** Passwords by user name; without it everybody may connect. */
  readonly users?: Readonly<Record<string, string>>
  /** Further lines of mosquitto.conf. */
  readonly lines?: readonly string[]
}

export interface Mosquitto extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** The process, for tests that measure it. */
  readonly pid: number
}

export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const { users, lines = [] } = options
  const host = '127.0.0.1'
  const port = await freePort(host)
  const folder = await mkdtemp(join(tmpdir(), 'breakwater-mosquitto-'))
  const settings = [`listener ${port} ${host}`, `allow_anonymous ${users === undefined}`]
  // Started as root, Mosquitto switches to another user, which could not read the temporary folder.
  if (process.getuid?.() === 0) settings.push('user root')
  // As Breakwater and aedes do, and as MQTT 3.1.1 suggests: no limit on what waits for a
  // client or is in flight to it.
  settings.push('max_queued_messages 0', 'max_inflight_messages 0', 'log_dest none')
  if (users) {
    const passwords = join(folder, 'passwords')
    await writeFile(passwords, '')
    for (const [name, password] of Object.entries(users)) {
      execFileSync('mosquitto_passwd', ['-b', passwords, name, password])
    }
    settings.push(`password_file ${passwords}`)
  }
  const file = join(folder, 'mosquitto.conf')
  await writeFile(file, [...settings, ...lines, ''].join('\n'))
  const child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' })
  try {
    await once(child, 'spawn')
    await listening(child, host, port)
  } catch (error) {
    child.kill()
    await rm(folder, { recursive: true })
    throw error
  }
  return {
    host,
    port,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit')
        child.kill()
        await exited
      }
      await rm(folder, { recursive: true })
    },
  }
}

/** For programs that cannot choose a port themselves: one is asked from the system and given back first. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function listening(child: ChildProcess, host: string, port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with code ${child.exitCode}`)
    const socket = connect({ host, port })
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await delay(25)
  }
  throw new Error(`mosquitto does not listen on port ${port}`)
}
