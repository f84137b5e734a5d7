/** A Redis in a container, through testcontainers. */
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers'
import { dockerEngineNetwork } from '../docker-engine.ts'
import { freePort, portTaken, redisArguments, type RedisServer } from './redis-process.ts'

const image = process.env['BREAKWATER_TEST_REDIS_IMAGE'] ?? 'redis:7.4-alpine'
const containerPort = 6379
const portTries = 5
const startTimeoutMs = 60_000

export async function startRedisContainer(args: readonly string[]): Promise<RedisServer> {
  if (dockerEngineNetwork() === 'bridge') return bridged(args)
  for (let tries = 1; ; tries++) {
    try {
      return await onHost(await freePort(), args)
    } catch (error) {
      if (tries === portTries || !portTaken(error)) throw error
    }
  }
}

async function bridged(args: readonly string[]): Promise<RedisServer> {
  const container = await redisContainer(['--bind', '0.0.0.0', '--protected-mode', 'no', ...args])
    .withExposedPorts(containerPort)
    .start()
  return server(`${container.getHost()}:${container.getMappedPort(containerPort)}`, container)
}

async function onHost(port: number, args: readonly string[]): Promise<RedisServer> {
  const container = await redisContainer(['--port', `${port}`, ...args])
    .withNetworkMode('host')
    .start()
  return server(`127.0.0.1:${port}`, container)
}

function redisContainer(args: readonly string[]): GenericContainer {
  return new GenericContainer(image)
    .withCommand(['redis-server', ...redisArguments, ...args])
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .withStartupTimeout(startTimeoutMs)
}

function server(address: string, container: StartedTestContainer): RedisServer {
  return {
    url: `redis://${address}`,
    [Symbol.asyncDispose]: async () => {
      await container.stop({ timeout: 0 })
    },
  }
}
