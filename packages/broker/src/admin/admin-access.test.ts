import { expect, it } from 'vitest'
import type { ApiError } from './api-answer.ts'
import { checkAccess, parseAdminToken } from './admin-access.ts'

const TOKEN = 'a-token-of-many-characters'
const LOCAL = '127.0.0.1'

function statusOf(
  remoteAddress: string | undefined,
  { host = LOCAL, method = 'GET', authorization = '', token = '' } = {},
): number {
  const headers = { host, ...(authorization === '' ? {} : { authorization }) }
  const digest = token === '' ? undefined : parseAdminToken(token, 'file')
  try {
    checkAccess({ method, headers, socket: { remoteAddress } }, digest)
    return 200
  } catch (error) {
    return (error as ApiError).answer.status
  }
}

it.each([
  ['127.0.0.1', 200],
  ['127.8.9.10', 200],
  ['::1', 200],
  ['::ffff:127.0.0.1', 200],
  ['10.0.0.1', 403],
  ['128.0.0.1', 403],
  ['0.0.0.0', 403],
  ['::', 403],
  ['::2', 403],
  ['fe80::1', 403],
  ['::ffff:10.0.0.1', 403],
  [undefined, 403],
])('the admin API without a token file answers a request from %s with %i', (address, status) => {
  expect(statusOf(address)).toBe(status)
})

it('the admin API without a token file refuses requests with a foreign Host header (DNS rebinding)', () => {
  for (const host of ['localhost', 'localhost:9090', '127.0.0.1:9090', '[::1]:9090'])
    expect(statusOf(LOCAL, { host })).toBe(200)
  for (const host of ['rebound.example', 'rebound.example:9090', 'localhost.example', ''])
    expect(statusOf(LOCAL, { host })).toBe(403)
})

it('the admin API without a token file refuses every change', () => {
  for (const method of ['POST', 'PUT', 'DELETE']) expect(statusOf(LOCAL, { method })).toBe(403)
})

it('the admin API with a token file accepts the token from any address, and nothing else', () => {
  const authorization = `Bearer ${TOKEN}`
  for (const address of [LOCAL, '10.0.0.1']) {
    const token = TOKEN
    expect(statusOf(address, { token, authorization, method: 'POST' })).toBe(200)
    expect(statusOf(address, { token })).toBe(401)
    expect(statusOf(address, { token, authorization: `${authorization}x` })).toBe(401)
    expect(statusOf(address, { token, authorization: `Basic ${TOKEN}` })).toBe(401)
  }
})
