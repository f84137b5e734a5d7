/*
 * The rules of ownership (session/ownership-table.ts) between two or three nodes, with requests, answers and notices that
 * overtake each other, notices that are lost, connections that end at any moment, and former owners that never
 * finish.
 */
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Model, TAKE_OVER_MS } from './ownership-model.ts'

/** The last one is an anonymous client. */
const USERS = ['ann', 'ann', 'ben', ''] as const
const number = fc.nat(95)
const CONNECT = { weight: 4, arbitrary: fc.tuple(fc.constant('connect' as const), number) }
const RUN = { weight: 12, arbitrary: fc.tuple(fc.constant('run' as const), number) }
const END = {
  weight: 1,
  arbitrary: fc.tuple(fc.constantFrom('leave' as const, 'drop' as const), number),
}
const FAULT = {
  weight: 1,
  arbitrary: fc.tuple(
    fc.constantFrom('lose' as const, 'pass' as const, 'connectStuck' as const, 'resync' as const),
    number,
  ),
}
const exactSteps = fc.array(fc.oneof(CONNECT, RUN, END), { minLength: 10, maxLength: 80 })
const anySteps = fc.array(fc.oneof(CONNECT, RUN, END, FAULT), { minLength: 10, maxLength: 80 })
type Step = typeof anySteps extends fc.Arbitrary<(infer T)[]> ? T : never

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

async function take([step, which]: Step, model: Model): Promise<void> {
  switch (step) {
    case 'connect':
    case 'connectStuck':
      model.connect(which, {
        stuck: step === 'connectStuck',
        persistent: Math.floor(which / 6) % 4 === 0,
        user: USERS[Math.floor(which / 24)] as string,
      })
      return
    case 'run':
      await model.run(which)
      return
    case 'lose':
      await model.lose(which)
      return
    case 'pass':
      await model.pass(TAKE_OVER_MS / 4)
      return
    case 'leave':
      model.end(which, 'left')
      return
    case 'drop':
      model.end(which, 'lost')
      return
    case 'resync':
      model.resync()
  }
}

async function play(steps: readonly Step[], nodes: number): Promise<void> {
  const model = new Model(nodes)
  for (const step of steps) await take(step, model)
  await model.flush()
  expect(model.faults).toEqual([])
  if (model.exact) {
    expect(model.clients.filter(({ settled }) => !settled)).toEqual([])
    for (const client of model.clients) expect(client.willPublished).toBe(client.willDue)
  }
  // Whatever was lost, no client waits longer than the bound for an owner to finish or a claimant to ask.
  for (let bound = 0; bound < 2; bound += 1) {
    await model.pass(TAKE_OVER_MS)
    await model.flush()
  }
  expect(model.clients.filter(({ settled }) => !settled)).toEqual([])
  // As after a time in which notices may have been missed.
  model.resync()
  await model.flush()
  const last = Math.max(...model.clients.map(({ epoch }) => epoch))
  const owner = model.clients.find(({ epoch }) => epoch === last)
  const open = model.clients.filter((client) => client.open)
  if (owner !== undefined && !owner.gone) {
    expect(open).toEqual([owner])
    expect(owner.granted).toBe(true)
  }
  // Where the last one has left again, and its notice was lost, the one before it never hears of it.
  expect(open.filter(({ epoch }) => epoch >= model.fence).length).toBeLessThanOrEqual(1)
  if (model.exact) expect(open.length).toBeLessThanOrEqual(1)
  for (const client of model.clients) client.end('left')
  await model.flush()
  await model.pass(TAKE_OVER_MS)
  await model.flush()
  expect(model.nodes.map(({ ownership }) => ownership.size)).toEqual(model.nodes.map(() => 0))
  expect(await model.free()).toBe(true)
}

describe.each([2, 3])('the ownership of a client id among %i nodes', (nodes) => {
  it('goes to the highest epoch alone, after every earlier owner has finished', async () => {
    await fc.assert(
      fc.asyncProperty(exactSteps, (steps) => play(steps, nodes)),
      { numRuns: 500, interruptAfterTimeLimit: 8_000, endOnFailure: true },
    )
  })

  it('goes to the highest epoch alone, even when notices are lost, time passes and owners never finish', async () => {
    await fc.assert(
      fc.asyncProperty(anySteps, (steps) => play(steps, nodes)),
      { numRuns: 500, interruptAfterTimeLimit: 8_000, endOnFailure: true },
    )
  })
})

it('no trace remains of an owner that is restored while being notified of its replacement', async () => {
  const model = new Model(2)
  const clean = { stuck: false, persistent: false, user: 'ann' }
  model.connect(0, clean)
  await model.flush()
  model.connect(1, clean)
  // Claimed; the former owner does not hear of it.
  for (let task = 0; task < 2; task += 1) await model.run(0)
  await model.lose(0)
  await model.pass(TAKE_OVER_MS)
  await model.flush()
  expect(model.clients.map(({ open, granted }) => open && granted)).toEqual([true, true])

  const [former] = model.nodes
  void former?.ownership.resync()
  await model.run(0)
  void former?.ownership.restore()
  // Answer, question; the successor leaves before the former owner is put back.
  model.end(1, 'left')
  for (const task of [2, 2, 1]) await model.run(task)
  // It hears first that it has been replaced, then that it has been put back, and ends at last.
  for (const task of [0, 1]) await model.run(task)
  await model.flush()
  expect(model.clients.map(({ open }) => open)).toEqual([false, false])
  expect(await model.free()).toBe(true)
})
