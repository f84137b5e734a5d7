import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { skipWithout } from '../program.ts'
import { startRedis } from './redis.ts'
import { startRedisProcess } from './redis-process.ts'

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: null })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await question(client)
  } finally {
    client.disconnect()
  }
}

function setting(client: Redis, name: string): Promise<unknown> {
  return client.config('GET', name).then((pair) => (pair as string[])[1])
}

describe('startRedis', () => {
  test('gives a Redis that answers and evicts nothing, and a prefix for this test alone', async () => {
    await using one = await startRedis()
    await using other = await startRedis()
    expect(one.prefix).not.toBe(other.prefix)
    await ask(one.url, async (client) => {
      expect(await client.set(`${one.prefix}key`, 'value')).toBe('OK')
      expect(await client.get(`${one.prefix}key`)).toBe('value')
      expect(await setting(client, 'maxmemory-policy')).toBe('noeviction')
    })
    expect(await ask(other.url, (client) => client.get(`${other.prefix}key`))).toBeNull()
  })

  test('passes arguments to the server, and they override its defaults', async () => {
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    const policy = await ask(redis.url, (client) => setting(client, 'maxmemory-policy'))
    expect(policy).toBe('allkeys-lru')
  })

  test('uses BREAKWATER_TEST_REDIS_URL with a prefix, and leaves no key behind', async (context) => {
    skipWithout(context, 'redis-server')
    await using server = await startRedisProcess([])
    const program = fileURLToPath(new URL('./redis-external.fixture.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=source', program],
      {
        env: {
          PATH: process.env['PATH'],
          BREAKWATER_TEST_REDIS_URL: server.url,
        },
      },
    )
    expect(JSON.parse(stdout)).toEqual({ mode: 'external', url: server.url, keys: 3 })
    expect(await ask(server.url, (client) => client.dbsize())).toBe(0)
  })
})

describe("a redis-server of the test's own", () => {
  test('is stopped after its scope, also when a signal has suspended it', async (context) => {
    skipWithout(context, 'redis-server')
    const server = await startRedisProcess([])
    const { pid, url } = server
    if (pid === undefined) throw new Error('a process has an id')
    process.kill(pid, 'SIGSTOP')
    await server[Symbol.asyncDispose]()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    await expect(ask(url, (client) => client.ping())).rejects.toThrow()
  })

  test('reports why it did not start', async (context) => {
    skipWithout(context, 'redis-server')
    await expect(startRedisProcess(['--no-such-setting', '1'])).rejects.toThrow(/no-such-setting/)
  })

  test('ends when its parent process is killed', async (context) => {
    skipWithout(context, 'redis-server')
    const module = new URL('./redis-process.ts', import.meta.url).href
    const script = `
      const { startRedisProcess } = await import('${module}')
      console.log((await startRedisProcess([])).url)
      setInterval(() => undefined, 1000)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const url = line.toString().trim()
    expect(await answers(url)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => answers(url)).toBe(false)
  })
})

function answers(url: string): Promise<boolean> {
  return ask(url, (client) => client.ping()).then(
    () => true,
    () => false,
  )
}
