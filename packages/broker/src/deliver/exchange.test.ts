import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { INCOMING, OUTGOING } from './exchange.ts'

/** The tables in the header comment of exchange.ts: rows of cells. */
function documented(heading: string): string[][] {
  const source = readFileSync(new URL('exchange.ts', import.meta.url), 'utf8')
  const lines = source.split('\n')
  const from = lines.findIndex((line) => line.includes(heading))
  const table = lines.slice(from).map((line) => line.replace(/^ \* ?/, ''))
  const start = table.findIndex((line) => line.startsWith('|'))
  const end = table.findIndex((line, index) => index > start && !line.startsWith('|'))
  return table
    .slice(start, end)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((cells) => cells.slice(1, -1))
}

const id = (text: string): string => text.toLowerCase().replaceAll(' ', '-')

/** How the comment words an action. */
const WORDS: Readonly<Record<string, string>> = {
  ignore: '–',
  close: 'close',
  settle: 'settle',
  release: 'release, PUBREL',
  'answer-pubrel': 'answer PUBREL',
  complete: 'complete',
  store: 'store, PUBREC',
  'answer-pubrec': 'answer PUBREC',
  'fan-out': 'fan out, PUBCOMP',
  'answer-pubcomp': 'answer PUBCOMP',
}

function wording(state: string, step: { readonly action: string; readonly next: string }): string {
  const words = WORDS[step.action] ?? 'no such action'
  return step.next === state ? words : `${words} → ${step.next}`
}

type Table = Readonly<
  Record<string, Readonly<Record<string, { readonly action: string; readonly next: string }>>>
>

describe.each<[string, Table]>([
  ['Outgoing', OUTGOING],
  ['Incoming QoS 2', INCOMING],
])('the exchange table «%s»', (heading, table) => {
  const [header = [], , ...rows] = documented(heading)
  const packets = header.slice(1).map(id)

  test('matches the table in its comment', () => {
    const stated = rows.map(([state = '', ...cells]) => [
      id(state),
      cells.map((cell) => cell.replace(/→ (.*)$/, (_, next: string) => `→ ${id(next)}`)),
    ])
    const real = Object.entries(table).map(([state, steps]) => [
      state,
      packets.map((packet) => wording(state, steps[packet] ?? { action: 'missing', next: '' })),
    ])
    expect(stated).toEqual(real)
  })

  test('is total: every state has a step for every packet, and every step leads to a state', () => {
    for (const steps of Object.values(table)) {
      expect(Object.keys(steps)).toEqual(packets)
      for (const { next } of Object.values(steps)) expect(table).toHaveProperty(next)
    }
  })
})

/** The invariants that the tables were made from, each on its own. */
describe('outgoing exchanges of QoS 1 and 2', () => {
  const steps = Object.entries(OUTGOING).flatMap(([state, byPacket]) =>
    Object.entries(byPacket).map(([packet, step]) => ({ state, packet, ...step })),
  )

  test('1. no packet of a client starts an exchange', () => {
    for (const { state, next } of steps) if (state === 'free') expect(next).toBe('free')
  })

  test('2. a packet that is ignored or closes the connection changes no state', () => {
    for (const { action, state, next } of steps)
      if (action === 'ignore' || action === 'close') expect(next).toBe(state)
  })

  test('3. each exchange ends in one way: PUBACK settles QoS 1, PUBCOMP completes QoS 2 [MQTT-4.3.2-1]', () => {
    const ends = steps.filter(({ state, next }) => state !== 'free' && next === 'free')
    expect(ends.map(({ state, packet, action }) => [state, packet, action])).toEqual([
      ['awaiting-puback', 'puback', 'settle'],
      ['awaiting-pubcomp', 'pubcomp', 'complete'],
    ])
  })

  test('4. PUBREC is answered with PUBREL whenever its packet id can be one of the broker [MQTT-4.3.3-1]', () => {
    for (const { packet, state, action } of steps) {
      if (packet !== 'pubrec' || state === 'awaiting-puback') continue
      expect(['release', 'answer-pubrel']).toContain(action)
    }
  })

  test('5. a message leaves the queue once: only the first PUBREC releases it', () => {
    const releases = steps.filter(({ action }) => action === 'release')
    expect(releases.map(({ state, next }) => [state, next])).toEqual([
      ['awaiting-pubrec', 'awaiting-pubcomp'],
    ])
  })

  test('6. a packet without an exchange never closes the connection; a packet of an exchange is an answer or closes the connection [MQTT-4.8.0-1]', () => {
    for (const { action, state } of steps)
      if (state === 'free') expect(action).not.toBe('close')
      else expect(action).not.toBe('ignore')
  })

  test('7. a client that follows the protocol reaches the end from every state', () => {
    const rule = {
      'awaiting-puback': 'puback',
      'awaiting-pubrec': 'pubrec',
      'awaiting-pubcomp': 'pubcomp',
    } as const
    for (const first of ['awaiting-puback', 'awaiting-pubrec', 'awaiting-pubcomp'] as const) {
      let state: keyof typeof OUTGOING = first
      for (let count = 0; state !== 'free' && count < 3; count += 1)
        state = OUTGOING[state][rule[state]].next
      expect(state).toBe('free')
    }
  })
})

describe('incoming exchanges of QoS 2', () => {
  test('1. a message is stored once and fanned out once, between PUBLISH and PUBREL', () => {
    const actions = Object.values(INCOMING).flatMap((steps) => Object.values(steps))
    expect(actions.filter(({ action }) => action === 'store')).toHaveLength(1)
    expect(actions.filter(({ action }) => action === 'fan-out')).toHaveLength(1)
    expect(INCOMING.free.publish).toEqual({ action: 'store', next: 'received' })
    expect(INCOMING.received.pubrel).toEqual({ action: 'fan-out', next: 'free' })
  })

  test('2. every PUBLISH is answered with PUBREC, every PUBREL with PUBCOMP [MQTT-4.3.3-2]', () => {
    expect(INCOMING.received.publish.action).toBe('answer-pubrec')
    expect(INCOMING.free.pubrel.action).toBe('answer-pubcomp')
  })

  test('3. a packet that is only answered changes no state', () => {
    expect(INCOMING.received.publish.next).toBe('received')
    expect(INCOMING.free.pubrel.next).toBe('free')
  })
})
