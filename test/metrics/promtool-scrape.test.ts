/** What Prometheus and a kubelet get from the admin server, over real connections. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'

import { type AdminServer, createInstruments, startAdminServer } from '@breakwater/metrics'
import { describe, expect, test } from 'vitest'

const promtoolMissing = spawnSync('promtool', ['--version']).error !== undefined

type Options = Parameters<typeof startAdminServer>[0]

function start(options: Partial<Options> = {}): Promise<AdminServer> {
  const ok = () => ({ ok: true, detail: 'ok' })
  return startAdminServer({
    host: '127.0.0.1',
    port: 0,
    livez: ok,
    readyz: ok,
    startupz: ok,
    render: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' }),
    ...options,
  })
}

function ask(server: AdminServer, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://${server.address}:${server.port}${path}`, init)
}

/** Sends raw bytes and keeps the connection open on our side. */
async function send(server: AdminServer, bytes: string): Promise<Socket> {
  const socket = connect(server.port, server.address)
  await once(socket, 'connect')
  socket.write(bytes)
  return socket
}

describe('/metrics', () => {
  test.skipIf(promtoolMissing)('is a page that promtool accepts (needs promtool)', async () => {
    const instruments = createInstruments({
      build: { version: '1.2.3', commit: 'abcdef0' },
      listeners: ['mqtts'],
      closeReasons: ['client'],
      dropReasons: ['queue-full'],
      logKinds: ['node'],
      redisFaults: ['other'],
      redisSettings: ['version'],
      redisKeys: ['log'],
    })
    await using server = await start({ render: () => instruments.render() })
    instruments.counter('connack_total').cell({ code: '0' }).add(1)
    const response = await ask(server, '/metrics')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const body = await response.text()
    expect(body).toContain('\nbreakwater_connack_total{code="0"} 1\n')
    const check = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' })
    expect(check.stderr).toBe('')
    expect(check.status).toBe(0)
  })

  test('answers 500 with the error when the page cannot be rendered', async () => {
    await using server = await start({ render: () => Promise.reject(new Error('no such gauge')) })
    const response = await ask(server, '/metrics')
    expect(response.status).toBe(500)
    expect(await response.text()).toBe('no such gauge\n')
    expect((await ask(server, '/livez')).status).toBe(200)
  })
})

describe('a probe of the admin server', () => {
  test('is answered with 200, or with 503 and the missing condition, by the current result of its check', async () => {
    let connected = false
    const readyz = () =>
      connected ? { ok: true, detail: 'ready' } : { ok: false, detail: 'redis: not connected' }
    await using server = await start({ readyz })
    const before = await ask(server, '/readyz')
    expect(before.status).toBe(503)
    expect(before.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await before.text()).toBe('redis: not connected\n')
    connected = true
    const after = await ask(server, '/readyz')
    expect(after.status).toBe(200)
    expect(await after.text()).toBe('ready\n')
  })

  test('is answered with 500 when its check throws', async () => {
    const livez = () => {
      throw new Error('the check is broken')
    }
    await using server = await start({ livez })
    expect((await ask(server, '/livez')).status).toBe(500)
    expect((await ask(server, '/startupz')).status).toBe(200)
  })
})

describe('a request to the admin server', () => {
  test('with HEAD gets the headers of GET and no body', async () => {
    await using server = await start()
    const response = await ask(server, '/metrics', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe('5')
    expect(await response.text()).toBe('')
  })

  test('with a query string gets the page', async () => {
    await using server = await start()
    expect(await (await ask(server, '/metrics?name=up')).text()).toBe('up 1\n')
  })

  test.each(['/', '/metrics/', '/api/v1', '/__proto__', '/constructor', '//metrics'])(
    'for %s gets 404',
    async (path) => {
      await using server = await start()
      expect((await ask(server, path)).status).toBe(404)
    },
  )

  test('with another method gets 405 and the allowed methods', async () => {
    await using server = await start()
    const response = await ask(server, '/readyz', { method: 'POST', body: 'x'.repeat(100_000) })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD')
    expect(response.headers.get('connection')).toBe('close')
  })

  test('below the prefix of a route goes to that route, with any method', async () => {
    const handle: NonNullable<Options['routes']>[number]['handle'] = (request, response) => {
      if (request.url === '/api/v1/broken') throw new Error('broken')
      response.writeHead(201).end(request.method)
    }
    await using server = await start({ routes: [{ prefix: '/api/v1', handle }] })
    const response = await ask(server, '/api/v1/sessions', { method: 'PUT' })
    expect(response.status).toBe(201)
    expect(await response.text()).toBe('PUT')
    expect((await ask(server, '/api/v1')).status).toBe(201)
    expect((await ask(server, '/api/v10')).status).toBe(404)
    expect((await ask(server, '/api/v1/broken')).status).toBe(500)
    expect((await ask(server, '/metrics')).status).toBe(200)
  })
})

describe('a bound of the admin server', () => {
  test('on headers: more than 8 KiB get 431 and the connection is closed', async () => {
    await using server = await start()
    const socket = await send(server, `GET /livez HTTP/1.1\r\nx: ${'y'.repeat(10_000)}\r\n\r\n`)
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 /)
  })

  test('on the time of a request: an unfinished request gets 408 and the connection is closed', async () => {
    await using server = await start({
      bounds: {
        connectionsMax: 10,
        connectionsPerAddressMax: 10,
        idleTimeoutMs: 60_000,
        requestTimeoutMs: 500,
      },
    })
    const socket = await send(server, 'GET /livez HTTP/1.1\r\nhost:')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('on connections: the oldest idle connection is closed for the newest connection', async () => {
    const closed: string[] = []
    await using server = await start({ onRefused: (why) => closed.push(why) })
    const sockets: Socket[] = []
    for (let count = 0; count < 73; count += 1) sockets.push(await send(server, ''))
    const [first, newest] = [sockets[0]!, sockets.at(-1)!]
    expect(await text(first)).toBe('')
    expect(closed).toEqual(['address-full'])
    newest.write('GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    expect(await text(newest)).toMatch(/^HTTP\/1\.1 200 /)
    for (const socket of sockets) socket.destroy()
  })
})

describe('the admin server', () => {
  test('reports the address it listens on', async () => {
    await using server = await start()
    expect(server.address).toBe('127.0.0.1')
    expect(server.port).toBeGreaterThan(0)
  })

  test('fails to start on a port in use, with the error code of the system', async () => {
    await using server = await start()
    const second = start({ port: server.port })
    await expect(second).rejects.toThrow(/the admin server cannot listen: .*EADDRINUSE/)
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  test('stops at once with an idle connection, and may be stopped twice', async () => {
    const server = await start()
    const idle = await send(server, 'GET /livez HTTP/1.1\r\nhost: a\r\n\r\n')
    await once(idle, 'data')
    await Promise.all([server[Symbol.asyncDispose](), server[Symbol.asyncDispose]()])
    await expect(ask(server, '/livez')).rejects.toThrow('fetch failed')
  })

  test('stops within its bound with an answer that never ends', async () => {
    const server = await start({ routes: [{ prefix: '/stuck', handle: () => {} }] })
    const socket = await send(server, 'GET /stuck HTTP/1.1\r\nhost: a\r\n\r\n')
    await server[Symbol.asyncDispose]()
    expect(await text(socket)).toBe('')
  })
})
