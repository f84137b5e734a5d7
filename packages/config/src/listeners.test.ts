import { describe, expect, test } from 'vitest'
import { decideConfig, readSettings, type ListenerConfig } from './index.ts'

function listen(text: string, environment: Record<string, string> = {}): readonly ListenerConfig[] {
  return decideConfig(
    readSettings({
      BREAKWATER_LISTEN: text,
      BREAKWATER_ALLOW_ANONYMOUS: 'true',
      ...environment,
    }),
  ).listeners
}

describe('a listener', () => {
  test('has the common settings unless its URL overrides them', () => {
    const [common, own] = listen(
      'mqtts://0.0.0.0, mqtts://0.0.0.0:1?client-auth=none&min-version=TLSv1.3&cert=a,b&key=c,d',
      {
        BREAKWATER_TLS_CERT: 'server.crt',
        BREAKWATER_TLS_KEY: 'server.key',
        BREAKWATER_TLS_CLIENT_CA: 'ca.crt',
        BREAKWATER_TLS_CLIENT_AUTH: 'required',
        BREAKWATER_TLS_IDENTITY: 'uri:spiffe://fleet/([^/,]+)',
      },
    )
    expect(common).toMatchObject({
      name: 'mqtts',
      port: 8883,
      tls: {
        pairs: [{ certFile: 'server.crt', keyFile: 'server.key' }],
        clientAuth: 'required',
        clientCaFile: 'ca.crt',
        minVersion: 'TLSv1.2',
        identity: { field: 'uri', pattern: /^(?:spiffe:\/\/fleet\/([^/,]+))$/u },
      },
    })
    expect(own).toMatchObject({
      name: 'mqtts-2',
      tls: {
        pairs: [
          { certFile: 'a', keyFile: 'c' },
          { certFile: 'b', keyFile: 'd' },
        ],
        clientAuth: 'none',
        clientCaFile: undefined,
        identity: undefined,
        minVersion: 'TLSv1.3',
      },
    })
  })

  test('over WebSocket has a path and origins; behind a proxy, networks', () => {
    const listeners = listen(
      'wss://h/fleet?origin=https://a.example&origin=https://b.example:8443,ws://h:1?frames=batch,mqtt://h?proxy=10.0.0.0/8,::1',
    )
    expect(
      listeners.map(({ name, port, webSocket, proxies }) => [name, port, webSocket, proxies]),
    ).toEqual([
      [
        'wss',
        443,
        {
          path: '/fleet',
          origins: ['https://a.example', 'https://b.example:8443'],
          localPagesOnly: false,
          frames: 'packet',
        },
        undefined,
      ],
      [
        'ws',
        1,
        { path: '/mqtt', origins: undefined, localPagesOnly: false, frames: 'batch' },
        undefined,
      ],
      ['mqtt', 1883, undefined, ['10.0.0.0/8', '::1']],
    ])
  })

  test('with an identity rule has clients that can connect, so no password file is needed', () => {
    const environment = {
      BREAKWATER_ALLOW_ANONYMOUS: 'false',
      BREAKWATER_TLS_CLIENT_CA: 'ca.crt',
      BREAKWATER_TLS_CLIENT_AUTH: 'required',
    }
    expect(() => listen('mqtts://h', environment)).toThrow(
      /nobody could connect at mqtts \(h:8883\):/,
    )
    listen('mqtts://h?identity=cn', environment)
  })
})

const CA = 'client-ca=ca.crt'

test.each([
  [
    'mqtts://h?clientauth=none',
    {},
    /unknown listener setting "clientauth"; did you mean "client-auth"/,
  ],
  ['mqtt://h?client-auth=none', {}, /unknown listener setting "client-auth"/],
  ['mqtts://h?origin=https://a.example', {}, /unknown listener setting "origin"/],
  ['mqtts://h/mqtt', {}, /only wss:\/\/ and ws:\/\/ have a path/],
  ['mqtts://h?client-auth=yes', {}, /client-auth must be none, optional, required, not "yes"/],
  ['mqtts://h?client-auth=required', {}, /needs client-ca/],
  [`mqtts://h?client-auth=required&${CA}&identity=name`, {}, /identity must be uri, dns, email or/],
  [`mqtts://h?client-auth=required&${CA}&identity=cn:(`, {}, /identity: Invalid regular expr/],
  ['mqtts://h?min-version=TLSv1.1', {}, /min-version must be TLSv1.2, TLSv1.3/],
  ['mqtts://h?cert=a', {}, /1 certificates and 0 keys/],
  [`wss://h?client-auth=optional&${CA}`, {}, /a page of anybody .* origin=https/],
  ['wss://h?origin=https://a.example/x', {}, /must be scheme, host and port only/],
  ['mqtt://h?frames=packet', {}, /unknown listener setting "frames"/],
  ['ws://h?frames=all', {}, /frames must be packet or batch/],
  ['ws://h?frames=packet&frames=batch', {}, /frames is given more than once/],
  ['mqtt://h?anonymous=false&anonymous=true', {}, /anonymous is given more than once/],
  ['mqtt://h?client-id=${username}&client-id=any', {}, /client-id is given more than once/],
  [`mqtts://h?client-auth=required&client-auth=none&${CA}`, {}, /client-auth is given more than/],
  [`mqtts://h?client-auth=required&${CA}&${CA}`, {}, /client-ca is given more than once/],
  [`mqtts://h?client-auth=required&${CA}&identity=cn:a&identity=b`, {}, /identity is given more/],
  ['mqtt://h?proxy=10.0.0.0/8/9', {}, /proxy must be addresses or networks/],
  ['mqtt://h?proxy=10.0.0.0/40', {}, /proxy must be addresses or networks/],
  ['mqtt://h?proxy=proxy.example', {}, /proxy must be addresses or networks/],
  ['mqtts://h', { BREAKWATER_TLS_CRL: 'x' }, /^BREAKWATER_TLS_CRL: has no effect without/],
  ['mqtts://h', { BREAKWATER_TLS_CLIENT_AUTH: 'x' }, /^BREAKWATER_TLS_CLIENT_AUTH: .* must be/],
  ['mqtts://h', { BREAKWATER_TLS_MIN_VERSION: '1.2' }, /^BREAKWATER_TLS_MIN_VERSION: .* must be/],
])('%s with %o stops the start with one line', (text, environment, message) => {
  expect(() => listen(text, environment as unknown as Record<string, string>)).toThrow(message)
})
