import { describe, expect, test } from 'vitest'

import { catalog } from './catalog.ts'
import { createInstruments } from './instruments.ts'

const build = { version: '1.2.3', commit: 'abcdef0' }

function node(listeners: readonly string[] = ['mqtts', 'mqtt']) {
  return createInstruments({
    build,
    listeners,
    closeReasons: ['client', 'keepalive'],
    dropReasons: ['queue-full'],
    logKinds: ['node'],
    redisFaults: ['other'],
    redisSettings: ['version'],
    redisKeys: ['log'],
  })
}

/** The value of one line of a page, by the text before it. */
function valueOf(body: string, series: string): number | undefined {
  const line = body.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

describe('the metrics page', () => {
  test('shows every series of every closed label set at 0 before anything has happened', async () => {
    const { body } = await node().render()
    for (const direction of ['in', 'out']) {
      for (const type of catalog.packets_total.labels.type) {
        const series = `breakwater_packets_total{direction="${direction}",type="${type}"}`
        expect(valueOf(body, series), series).toBe(0)
      }
    }
    for (const listener of ['mqtts', 'mqtt']) {
      for (const reason of ['client', 'keepalive']) {
        const series = `breakwater_connections_closed_total{listener="${listener}",reason="${reason}"}`
        expect(valueOf(body, series), series).toBe(0)
      }
    }
    expect(valueOf(body, 'breakwater_publish_ack_duration_seconds_count{qos="2"}')).toBe(0)
  })

  test('gives every metric of the catalogue its type and help', async () => {
    const { body, contentType } = await node().render()
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
    for (const [name, { type, help }] of Object.entries(catalog)) {
      expect(body).toContain(
        `# HELP breakwater_${name} ${help}\n# TYPE breakwater_${name} ${type}\n`,
      )
    }
  })

  test('shows the version and the start time', async () => {
    const before = Date.now() / 1000
    const { body } = await node().render()
    const { node: nodeVersion, openssl } = process.versions
    expect(body).toContain(
      `breakwater_build_info{version="1.2.3",commit="abcdef0",node="${nodeVersion}",openssl="${openssl}"} 1\n`,
    )
    expect(valueOf(body, 'breakwater_start_time_seconds')).toBeGreaterThanOrEqual(before)
  })

  test('leaves out a series whose 0 would be read as a fault, until the series is set', async () => {
    const instruments = node()
    const certificate = instruments.gauge('tls_certificate_not_after_timestamp_seconds')
    const before = (await instruments.render()).body
    expect(before).not.toMatch(/^breakwater_redis_up /m)
    expect(before).not.toMatch(/^breakwater_tls_certificate_not_after_timestamp_seconds/m)

    instruments.gauge('redis_up').cell().set(0)
    certificate.cell({ listener: 'mqtts' }).set(1_800_000_000)
    const after = (await instruments.render()).body
    expect(valueOf(after, 'breakwater_redis_up')).toBe(0)
    expect(after.match(/^breakwater_tls_certificate_not_after.*$/gm)).toEqual([
      'breakwater_tls_certificate_not_after_timestamp_seconds{listener="mqtts"} 1800000000',
    ])
  })

  test('escapes label values', async () => {
    const { body } = await node(['a"b\\c\nd']).render()
    expect(valueOf(body, String.raw`breakwater_connections{listener="a\"b\\c\nd"}`)).toBe(0)
  })

  test('shows process metrics, without the event-loop lag that every scrape would reset', async () => {
    const { body } = await node().render()
    expect(valueOf(body, 'process_resident_memory_bytes')).toBeGreaterThan(1_000_000)
    expect(body).toContain('# TYPE nodejs_gc_duration_seconds histogram')
    expect(body).not.toContain('nodejs_eventloop_lag')
    expect(body).not.toContain('nodejs_active_')
  })
})

describe('a metric cell', () => {
  test('is one series, and the same object at each request', async () => {
    const instruments = node()
    const delivered = instruments.counter('messages_delivered_total')
    delivered.cell({ qos: '1', source: 'queue' }).add(3)
    delivered.cell({ source: 'queue', qos: '1' }).add(1)
    const { body } = await instruments.render()
    expect(valueOf(body, 'breakwater_messages_delivered_total{qos="1",source="queue"}')).toBe(4)
    expect(valueOf(body, 'breakwater_messages_delivered_total{qos="1",source="live"}')).toBe(0)
  })

  test('counts beyond 32 bits', async () => {
    const instruments = node()
    const bytes = instruments.counter('bytes_total').cell({ direction: 'in', listener: 'mqtts' })
    bytes.add(2 ** 40)
    bytes.add(1)
    const { body } = await instruments.render()
    const series = 'breakwater_bytes_total{direction="in",listener="mqtts"}'
    expect(valueOf(body, series)).toBe(2 ** 40 + 1)
  })

  test('is shared by two listeners of one name, and shown once', async () => {
    const instruments = node(['mqtts', 'mqtts'])
    instruments.gauge('connections').cell({ listener: 'mqtts' }).set(2)
    const { body } = await instruments.render()
    expect(body.match(/^breakwater_connections\{.*$/gm)).toEqual([
      'breakwater_connections{listener="mqtts"} 2',
    ])
  })

  test('with an unknown label value is refused', () => {
    const opened = node().counter('connections_opened_total')
    expect(() => opened.cell({ listener: 'wss' })).toThrow(
      'breakwater_connections_opened_total has no such series: listener "wss" is not one of mqtts, mqtt',
    )
    expect(() => opened.cell({ listener: '__proto__' })).toThrow('has no such series')
  })
})

describe('a metric histogram', () => {
  test('counts a value in its bucket and all higher ones, the bound included', async () => {
    const instruments = node()
    const acks = instruments.histogram('publish_ack_duration_seconds').cell({ qos: '1' })
    for (const seconds of [0.0001, 0.001, 0.0011, 7]) acks.observe(seconds)
    const { body } = await instruments.render()
    const name = 'breakwater_publish_ack_duration_seconds'
    expect(valueOf(body, `${name}_bucket{le="0.0005",qos="1"}`)).toBe(1)
    expect(valueOf(body, `${name}_bucket{le="0.001",qos="1"}`)).toBe(2)
    expect(valueOf(body, `${name}_bucket{le="0.0025",qos="1"}`)).toBe(3)
    expect(valueOf(body, `${name}_bucket{le="5",qos="1"}`)).toBe(3)
    expect(valueOf(body, `${name}_bucket{le="+Inf",qos="1"}`)).toBe(4)
    expect(valueOf(body, `${name}_count{qos="1"}`)).toBe(4)
    expect(valueOf(body, `${name}_sum{qos="1"}`)).toBeCloseTo(7.0022, 10)
    expect(valueOf(body, `${name}_count{qos="2"}`)).toBe(0)
  })

  test('ignores a value that is not a duration', async () => {
    const instruments = node()
    const trips = instruments.histogram('redis_round_trip_seconds').cell()
    for (const seconds of [Number.NaN, -1, 2]) trips.observe(seconds)
    const { body } = await instruments.render()
    expect(valueOf(body, 'breakwater_redis_round_trip_seconds_sum')).toBe(2)
    expect(valueOf(body, 'breakwater_redis_round_trip_seconds_count')).toBe(3)
  })
})

test('computed gauges are refreshed before each metrics page', async () => {
  const instruments = node()
  const retained = instruments.gauge('retained_messages').cell()
  let scrapes = 0
  instruments.onScrape(() => {
    scrapes += 1
    retained.set(scrapes * 10)
  })
  expect(scrapes).toBe(0)
  expect(valueOf((await instruments.render()).body, 'breakwater_retained_messages')).toBe(10)
  expect(valueOf((await instruments.render()).body, 'breakwater_retained_messages')).toBe(20)
})

test('nodes in one process have independent metrics', async () => {
  const [first, second] = [node(), node()]
  first.counter('writes_total').cell().add(1)
  expect(valueOf((await first.render()).body, 'breakwater_writes_total')).toBe(1)
  expect(valueOf((await second.render()).body, 'breakwater_writes_total')).toBe(0)
})

test('a misspelt metric name, label or label value does not compile', () => {
  const instruments = createInstruments({
    build,
    listeners: ['mqtts'],
    closeReasons: ['client', 'keepalive'],
    dropReasons: ['queue-full'],
    logKinds: ['node'],
    redisFaults: ['other'],
    redisSettings: ['version'],
    redisKeys: ['log'],
  })
  const wrong = [
    // @ts-expect-error no such metric
    () => instruments.counter('connections_close_total'),
    // @ts-expect-error a gauge is not a counter
    () => instruments.counter('connections'),
    // @ts-expect-error no such label
    () => instruments.gauge('connections').cell({ port: 'mqtts' }),
    // @ts-expect-error a label is missing
    () => instruments.counter('connack_total').cell(),
    // @ts-expect-error no such value
    () => instruments.counter('messages_received_total').cell({ qos: '3' }),
    () => {
      const closed = instruments.counter('connections_closed_total')
      // @ts-expect-error no such close reason
      return closed.cell({ listener: 'mqtts', reason: 'keep-alive' })
    },
  ]
  expect(wrong).toHaveLength(6)
})
