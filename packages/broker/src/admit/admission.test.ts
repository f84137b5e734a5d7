import { limitsWith, type Limits } from '@breakwater/config'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Admission } from './admission.ts'
import { LoopDelay } from './loop-delay.ts'
import { PermitStage, type AdmissionPermit } from './permit.ts'

function setUp(limits: Partial<Limits> = {}, connectionsMax = 100) {
  const loopDelay = new LoopDelay()
  const admission = new Admission({ limits: limitsWith(limits), connectionsMax, loopDelay })
  const story: string[] = []
  const arrive = (name: string): AdmissionPermit => {
    const permit = admission.permit()
    admission.arrive(permit, {
      begin: () => void story.push(`${name} begins`),
      shed: (reason) => void story.push(`${name}: ${reason}`),
    })
    return permit
  }
  return { admission, loopDelay, story, arrive }
}

test('sockets are admitted in order of arrival, a few per turn', async () => {
  const { admission, story, arrive } = setUp({ beginsPerTurnMax: 2 })
  for (const name of ['a', 'b', 'c']) arrive(name)
  expect(story).toEqual([])
  await turn()
  expect(story).toEqual(['a begins', 'b begins'])
  expect([admission.held, admission.handshakes, admission.connections]).toEqual([1, 2, 3])
  await turn()
  expect(story).toEqual(['a begins', 'b begins', 'c begins'])
})

test('a socket that completes a stage or closes makes room for a held socket', async () => {
  const { admission, story, arrive } = setUp({ handshakesMax: 1, unansweredMax: 2 })
  const a = arrive('a')
  const b = arrive('b')
  const c = arrive('c')
  await turn()
  expect(story).toEqual(['a begins'])
  a.reach(PermitStage.UNANSWERED)
  await turn()
  expect(story).toEqual(['a begins', 'b begins'])
  b.reach(PermitStage.UNANSWERED)
  await turn()
  expect(story).toHaveLength(2)
  expect([admission.handshakes, admission.unanswered]).toEqual([0, 2])
  a.answered()
  await turn()
  expect(story).toEqual(['a begins', 'b begins', 'c begins'])
  for (const permit of [c, b, a, a]) permit.reach(PermitStage.GONE)
  expect(admission.connections).toBe(0)
})

test('a socket that closes while held is never admitted', async () => {
  const { admission, story, arrive } = setUp()
  arrive('a').reach(PermitStage.GONE)
  await turn()
  expect([story, admission.connections]).toEqual([[], 0])
})

test('a socket beyond the limits is shed at once, with the first reason that applies', () => {
  const { admission, loopDelay, story, arrive } = setUp({ heldMax: 1, loopDelayMaxMs: 50 }, 2)
  arrive('a')
  arrive('b')
  for (let sample = 0; sample < 5; sample += 1) loopDelay.sample(51)
  arrive('c')
  admission.stop()
  arrive('d')
  expect(story).toEqual(['b: held-full', 'c: overloaded', 'a: shutting-down', 'd: shutting-down'])
  const full = setUp({}, 0)
  full.arrive('e')
  expect(full.story).toEqual(['e: connections-full'])
})

test('the event loop counts as late when every sample is late, not after a single pause', () => {
  const { loopDelay } = setUp()
  for (const lateMs of [900, 1, 800, 0, 700, 600]) loopDelay.sample(lateMs)
  expect(loopDelay.ms).toBe(0)
  for (const lateMs of [300, 200, 500]) loopDelay.sample(lateMs)
  expect(loopDelay.ms).toBe(200)
  loopDelay.sample(-1)
  expect(loopDelay.ms).toBe(0)
})

test('a socket that is held for too long is shed', async () => {
  const { admission, story, arrive } = setUp({ handshakesMax: 1, heldTimeoutMs: 50 })
  arrive('a')
  arrive('b')
  await expect.poll(() => story).toEqual(['a begins', 'b: held-too-long'])
  expect(admission.held).toBe(0)
})

test('sockets without connection tokens are held until tokens are refilled', async () => {
  const { story, arrive } = setUp({ connectsPerSecondMax: 20, beginsPerTurnMax: 100 })
  const startedAt = performance.now()
  for (let index = 0; index < 30; index += 1) arrive(String(index))
  await expect.poll(() => story.length).toBe(30)
  expect(performance.now() - startedAt).toBeGreaterThan(400)
})
