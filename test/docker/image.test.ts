/** The image that the Dockerfile builds: small, unprivileged, and a broker that works and stops well. */
import { execFile, spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { findDockerEngine, noDockerEngine } from '../kit/docker-engine.ts'
import { findProgram } from '../kit/program.ts'
import { freePort } from '../kit/redis-process.ts'
import { baseImage } from './base-image.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const image = 'breakwater-test/breakwater:local'

/** Downloads compiler and dependencies; slow registries have taken more than a minute. */
const buildTimeoutMs = 600_000

/** What the chart's security context asks of the container. */
const restricted = [
  ...['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'],
  ...['--user=1000:1000', '--memory=256m'],
]

const engine = await findDockerEngine()
const missing =
  engine === undefined
    ? noDockerEngine
    : findProgram('docker') === undefined
      ? 'docker not installed'
      : undefined

async function docker(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('docker', args, { maxBuffer: 16 * 1024 * 1024 })
  return stdout.trim()
}

async function build(): Promise<void> {
  const networks = engine?.network === 'host' ? ['--network=host'] : []
  await docker(
    ...['build', ...networks, '--build-arg', `NODE_IMAGE=${await baseImage()}`],
    ...['-f', join(root, 'deploy/docker/Dockerfile'), '-t', image, root],
  )
}

/** Runs a command of the image as the chart would, with more options of `docker run`. */
async function command(options: readonly string[], ...args: readonly string[]): Promise<string> {
  return docker('run', '--rm', '--network=none', ...restricted, ...options, image, ...args)
}

if (missing !== undefined) {
  test('the image is built and runs', (context) => context.skip(missing))
} else {
  // Sequential: everything stands on the build.
  describe('the image', () => {
    afterAll(async () => {
      await docker('image', 'rm', '--force', image)
    })

    test('is built by the Dockerfile', build, buildTimeoutMs)

    test('runs as a number that is not root, in exec form, without a health check', async () => {
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

    test('holds compiled code and what it needs to run, nothing else', async () => {
      const listing = `for (const name of require('node:fs').readdirSync('/opt/breakwater',
        { recursive: true })) console.log(name)`
      const files = (await docker('run', '--rm', '--entrypoint=node', image, '-e', listing)).split(
        '\n',
      )
      expect(files).toContain('dist/main.js')
      // One path per package: the others are links to it.
      const own = files.filter((file) => /^dist\/|@breakwater\/[a-z]+\/[a-z]/.test(file))
      expect(own.filter((file) => /\/src(\/|$)|\.ts$|\.map$|tsconfig|\.test\./.test(file))).toEqual(
        [],
      )
      const names = new Set(files.map((file) => file.replace(/^.*node_modules\//, '')))
      for (const name of ['aedes', 'ioredis', 'pino', '@breakwater/config'])
        expect(names, name).toContain(name)
      for (const name of [
        'typescript',
        'vitest',
        'oxlint',
        'knip',
        'node',
        '@breakwater/simulator',
      ])
        expect(names, name).not.toContain(name)
    })

    test('knows its version', async () => {
      const { version } = JSON.parse(
        await readFile(join(root, 'packages/broker/package.json'), 'utf8'),
      ) as { version: string }
      expect(await command([], 'version')).toBe(version)
    })

    test('writes a password file into a mounted folder', async () => {
      const folder = await sharedFolder()
      await passwd(folder, 'alice', 'open sesame')
      expect(await readFile(join(folder, 'passwords'), 'utf8')).toMatch(/^alice:\$scrypt\$/)
    })

    test('says in one line what is wrong with its configuration, and fails', async () => {
      await expect(
        command(['-e', 'BREAKWATER_LOG_LEVEL=loud'], 'check-config'),
      ).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^breakwater: BREAKWATER_LOG_LEVEL: .*\n$/) as unknown,
      })
    })

    test('serves MQTT over TLS without a privilege, and stops with 0', async () => {
      const folder = await sharedFolder()
      await command(['-v', `${folder}:/certs`, ...asMe()], 'dev-certs', '/certs')
      await passwd(folder, 'alice', 'open sesame')
      const [mqttPort, adminPort] = [await freePort(), await freePort()]
      const container = await docker(
        ...['run', '--detach', ...network(mqttPort, adminPort), ...restricted, ...asMe()],
        ...['-v', `${folder}:/etc/breakwater/files:ro`],
        ...environment(mqttPort, adminPort),
        image,
      )
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

      await docker('stop', '--time=20', container)
      const state = await docker('inspect', '--format={{.State.ExitCode}}', container)
      expect(state, await docker('logs', container)).toBe('0')
      client.end(true)
    }, 60_000)
  })
}

/** A folder that the container's user may read; the files in it belong to whoever runs the tests. */
async function sharedFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'breakwater-image-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  return folder
}

/** Files made on a mount must belong to somebody who may read them back. */
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

function network(...ports: readonly number[]): readonly string[] {
  if (engine?.network === 'host') return ['--network=host']
  return ports.flatMap((port) => ['--publish', `127.0.0.1:${port}:${port}`])
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
