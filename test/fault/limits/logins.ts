/** Limits of the HTTP hook, against a service that answers late or counts. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { startNode } from '../../kit/node.ts'
import { WireClient } from '../../kit/wire-client.ts'
import type { LimitDriver } from './driver.ts'

interface Service extends AsyncDisposable {
  readonly url: string
}

async function serve(handle: RequestListener): Promise<Service> {
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function driveTimeout(): Promise<void> {
  await using service = await serve(() => undefined)
  const environment = { BREAKWATER_AUTH_HTTP_URL: service.url }
  const limits = { authHttpTimeoutMs: 300 }
  await using node = await startNode({ allowAnonymous: false, environment, limits })
  await using client = await WireClient.open(node)
  const startedAt = performance.now()
  const { returnCode } = await client.connect({ clientId: 'c', username: 'ann', password: 'x' })
  expect(returnCode).toBe(3)
  expect(performance.now() - startedAt).toBeGreaterThan(250)
  await client.untilClosed()
  expect(node.closeReasons()).toEqual(['authentication-unavailable'])
}

async function driveCache(): Promise<void> {
  let asked = 0
  await using service = await serve((_, response) => {
    asked += 1
    response.end('{"result":"allow"}')
  })
  const environment = { BREAKWATER_AUTH_HTTP_URL: service.url }
  const limits = { authHttpCacheMs: 500 }
  await using node = await startNode({ allowAnonymous: false, environment, limits })
  const connect = async (): Promise<void> => {
    await using client = await WireClient.open(node)
    const { returnCode } = await client.connect({ clientId: 'c', username: 'ann', password: 'x' })
    expect(returnCode).toBe(0)
    await client.disconnect()
  }
  await connect()
  await connect()
  expect(asked).toBe(1)
  await expect
    .poll(async () => {
      await connect()
      return asked
    })
    .toBe(2)
}

export const loginLimits = {
  authHttpTimeoutMs: driveTimeout,
  authHttpCacheMs: driveCache,
} as const satisfies Readonly<Record<string, LimitDriver>>
