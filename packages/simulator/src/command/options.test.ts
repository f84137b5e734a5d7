import { expect, test } from 'vitest'
import { InputError } from './input-error.ts'
import { resolveOptions, type FleetInput } from './options.ts'

const URLS = ['mqtt://127.0.0.1']

test('the fleet command takes the default port from the URL scheme, and accepts an IPv6 address in brackets', () => {
  const urls = ['mqtt://a', 'mqtts://b', 'mqtts://[::1]:9', 'mqtt://c:1']
  const { endpoints } = resolveOptions({ command: 'connect', urls })
  expect(endpoints.map(({ host, port, secure }) => [host, port, secure])).toEqual([
    ['a', 1883, false],
    ['b', 8883, true],
    ['::1', 9, true],
    ['c', 1, false],
  ])
})

test.each<[string, Partial<FleetInput>]>([
  ['--url', { urls: [] }],
  ['--url', { urls: ['127.0.0.1:1883'] }],
  ['--url', { urls: ['https://a'] }],
  ['--url', { urls: ['mqtt://user:secret@a'] }],
  ['--devices', { devices: 0 }],
  ['--devices', { devices: 7 }],
  ['--devices', { devices: Number.NaN }],
  ['--qos', { qos: 3 }],
  ['--rate', { rate: 0 }],
  ['--rate', { rate: 10, saturate: true }],
  ['--duration', { durationMs: 0 }],
  ['--warmup', { warmupMs: -1 }],
  ['--payload-bytes', { payloadBytes: 27 }],
  ['--payload-bytes', { payloadBytes: 1024 * 1024 + 1 }],
  ['--topic', { topic: 'same/for/all' }],
  ['--topic', { topic: 'a/+/{{i}}' }],
  ['--topic', { topic: '' }],
  ['--client-id', { clientId: 'same' }],
  ['--client-id', { clientId: '{{id}}' }],
  ['--password', { password: 'secret' }],
  ['--pattern', { command: 'pub', pattern: 'fan-in' }],
  ['--rate', { command: 'connect', rate: 5 }],
  ['--slo', { thresholds: ['nonsense'] }],
])('the fleet command names %s when it refuses %j', (option, input) => {
  const resolve = (): unknown => resolveOptions({ command: 'pubsub', urls: URLS, ...input })
  expect(resolve).toThrow(InputError)
  expect(resolve).toThrow(new RegExp(`^${option}.*: .+$`)) // one line
  expect(resolve).not.toThrow(/secret/)
})

test('the fleet command accepts wildcards in the topic of a subscriber', () => {
  expect(resolveOptions({ command: 'sub', urls: URLS, topic: 'a/+/#' }).topic).toBe('a/+/#')
})
