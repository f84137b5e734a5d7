/** The image that the Dockerfile builds: small, unprivileged, and a broker that works and stops well. */
import { execFile, spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { findDockerEngine, type DockerEngine } from '../kit/docker-engine.ts'
import { findProgram } from '../kit/program.ts'
import { freePort } from '../kit/redis/redis-process.ts'
import { baseImage } from './base-image.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const image = 'breakwater-test/breakwater:local'

/** Downloads compiler and dependencies. */
const buildTimeoutMs = 600_000

/** What the chart's security context asks of the container. */
const restricted = [
  '--read-only',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--user=1000:1000',
  '--memory=256m',
]

/** Prints the path of everything in the image that is ours or came with it. */
const listing = `const { readdirSync } = require('node:fs')
  for (const path of readdirSync('/opt/breakwater', { recursive: true })) console.log(path)`

const engine = await findDockerEngine()
const missing = findProgram('docker') === undefined ? 'docker not installed' : 'no Docker engine'

async function docker(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('docker', args, { maxBuffer: 16 * 1024 * 1024 })
  return stdout.trim()
}

async function build(engine: DockerEngine): Promise<void> {
  const network = engine.network === 'host' ? ['--network=host'] : []
  const base = ['--build-arg', `NODE_IMAGE=${await baseImage(engine)}`]
  const file = ['-f', join(root, 'deploy/docker/Dockerfile')]
  await docker('build', ...network, ...base, ...file, '-t', image, root)
}

/** Runs a command of the image as the chart would, with more options of `docker run`. */
async function command(options: readonly string[], ...args: readonly string[]): Promise<string> {
  return docker('run', '--rm', '--network=none', ...restricted, ...options, image, ...args)
}

if (engine === undefined || findProgram('docker') === undefined) {
  test('the Docker image builds and runs', (context) => context.skip(missing))
} else {
  describe('the Docker image', () => {
    beforeAll(() => build(engine), buildTimeoutMs)
    afterAll(async () => {
      await docker('image', 'rm', '--force', image)
    })

    test('runs as a numeric non-root user, in exec form, without a HEALTHCHECK', async () => {
      const [inspected] = JSON.parse(await docker('image', 'inspect', image)) as {
        Config: Record<string, unknown>
      }[]
      expect(inspected?.Config).toMatchObject({
        User: '1000:1000',
        Entrypoint: ['node', '/opt/breakwater/dist/main.js'],
        Cmd: ['serve'],
        ExposedPorts: { '8883/tcp': {}, '9464/tcp': {} },
        StopSignal: 'SIGTERM',
      })
      expect(inspected?.Config['Healthcheck'] ?? null).toBeNull()
    })

    test('contains the compiled code and its runtime dependencies, and nothing else', async () => {
      const files = (await command(['--entrypoint=node'], '--eval', listing)).split('\n')
      expect(files).toContain('dist/main.js')
      const own = files.filter((file) => /^dist\/|@breakwater\/[a-z]+\/[a-z]/.test(file))
      expect(own.some((file) => file.endsWith('@breakwater/config/dist/index.js'))).toBe(true)
      const notCompiled = /\/src(\/|$)|\.ts$|\.map$|tsconfig|\.test\./
      expect(own.filter((file) => notCompiled.test(file))).toEqual([])
      const names = new Set(files.map((file) => file.replace(/^.*node_modules\//, '')))
      expect([...names]).toEqual(expect.arrayContaining(['aedes', 'ioredis', 'pino']))
      for (const name of ['typescript', 'vitest', 'oxlint', 'node', '@breakwater/simulator'])
        expect(names, name).not.toContain(name)
    })

    test('prints its version', async () => {
      const { version } = JSON.parse(
        await readFile(join(root, 'packages/broker/package.json'), 'utf8'),
      ) as { version: string }
      expect(await command([], 'version')).toBe(version)
    })

    test('bounds its heap by the memory limit of the container', async () => {
      const limit = "require('node:v8').getHeapStatistics().heap_size_limit / 2 ** 20"
      const heapMiB = Number(await command(['--entrypoint=node'], '--print', limit))
      expect(heapMiB).toBeGreaterThan(0.7 * 256)
      expect(heapMiB).toBeLessThan(0.8 * 256)
    })

    test('writes a password file into a mounted folder', async () => {
      const folder = await sharedFolder()
      await passwd(folder, 'alice', 'open sesame')
      expect(await readFile(join(folder, 'passwords'), 'utf8')).toMatch(/^alice:\$scrypt\$/)
    })

    test('exits with an error code and one line about an invalid configuration', async () => {
      await expect(
        command(['-e', 'BREAKWATER_LOG_LEVEL=loud'], 'check-config'),
      ).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^breakwater: BREAKWATER_LOG_LEVEL: .*\n$/) as unknown,
      })
    })

    test('serves MQTT over TLS without privileges, and stops with exit code 0', async () => {
      const folder = await sharedFolder()
      await command(['-v', `${folder}:/certs`, ...asMe()], 'dev-certs', '/certs')
      await passwd(folder, 'alice', 'open sesame')
      const [mqttPort, adminPort] = [await freePort(), await freePort()]
      await readableByAll(folder)
      const container = await startBroker(folder, mqttPort, adminPort)
      onTestFinished(async () => {
        await docker('rm', '--force', container)
      })
      await answersReady(adminPort, container)
      const client = await connectAsync(`mqtts://localhost:${mqttPort}`, {
        ca: await readFile(join(folder, 'ca.crt')),
        username: 'alice',
        password: 'open sesame',
        reconnectPeriod: 0,
      })
      const received = new Promise<string>((settle) => {
        client.once('message', (_topic, payload) => settle(payload.toString()))
      })
      await client.subscribeAsync('image/#', { qos: 1 })
      await client.publishAsync('image/test', 'from inside', { qos: 1 })
      expect(await received).toBe('from inside')

      await docker('stop', '-t', '20', container)
      const state = await docker('inspect', '--format={{.State.ExitCode}}', container)
      expect(state, await docker('logs', container)).toBe('0')
      client.end(true)
    }, 60_000)
  })
}

/** A folder that the container's user may enter; its files belong to the user that runs the tests. */
async function sharedFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'breakwater-image-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  return folder
}

/** As a Secret's group does in Kubernetes. */
async function readableByAll(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await chmod(join(folder, name), 0o644)
}

async function startBroker(folder: string, mqttPort: number, adminPort: number): Promise<string> {
  const ports = engine?.network === 'host' ? ['--network=host'] : published(mqttPort, adminPort)
  const files = ['-v', `${folder}:/etc/breakwater/files:ro`]
  const variables = environment(mqttPort, adminPort)
  return docker('run', '--detach', ...ports, ...restricted, ...files, ...variables, image)
}

function published(...ports: readonly number[]): readonly string[] {
  return ports.flatMap((port) => ['--publish', `127.0.0.1:${port}:${port}`])
}

/** Files made on a mount must belong to a user that may read them back. */
function asMe(): readonly string[] {
  return [`--user=${process.getuid?.() ?? 1000}:${process.getgid?.() ?? 1000}`]
}

async function passwd(folder: string, user: string, password: string): Promise<void> {
  const options = ['--rm', '-i', '--network=none', ...restricted, ...asMe()]
  const mounted = ['-v', `${folder}:/files`, image, 'passwd', '/files/passwords', user]
  const child = spawn('docker', ['run', ...options, ...mounted], { stdio: 'pipe' })
  child.stdin.end(password)
  const code = new Promise<number | null>((settle) => child.once('close', settle))
  const complaint = await text(child.stderr)
  expect(await code, complaint).toBe(0)
}

function environment(mqttPort: number, adminPort: number): readonly string[] {
  const host = engine?.network === 'host' ? '127.0.0.1' : '0.0.0.0'
  const variables = {
    BREAKWATER_LISTEN: `mqtts://${host}:${mqttPort}`,
    BREAKWATER_ADMIN: `http://${host}:${adminPort}`,
    BREAKWATER_TLS_CERT: '/etc/breakwater/files/server.crt',
    BREAKWATER_TLS_KEY: '/etc/breakwater/files/server.key',
    BREAKWATER_PASSWORD_FILE: '/etc/breakwater/files/passwords',
    BREAKWATER_ALLOW_ANONYMOUS: 'false',
  }
  return Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`])
}

/** As a kubelet does: asks until the answer is yes, unless the container has ended. */
async function answersReady(port: number, container: string): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.status === 200) return
    const isRunning = await docker('inspect', '--format={{.State.Running}}', container)
    if (isRunning !== 'true') throw new Error(await docker('logs', container))
  }
}
