/** The report of a soak round that broke a promise. */
import { expect, it } from 'vitest'
import { checkAcknowledgedStored } from './check/acknowledged-stored.ts'
import { pair } from './check/story-lines.ts'
import { drawPlan } from './plan.ts'
import { recoveriesOf } from './recovery.ts'
import { reportOf, storiesOf, summaryOf } from './report.ts'

const story = pair()
  .published('other')
  .deliver('sub', 2, 'other')
  .fault('kill-node', 'begin')
  .published('lost')
  .fault('kill-node', 'end')
  .wait(500)
  .published('later')
  .deliver('sub', 2, 'later')
const round = {
  plan: drawPlan({ seed: 4, seconds: 10 }),
  lines: story.lines,
  violations: checkAcknowledgedStored(story.index),
  logs: [],
  seconds: 10,
}

it('the soak report shows the first violation with every line of its message and the faults around it', () => {
  const told = storiesOf(round)
  expect(told[0]).toBe(
    'G1 (acknowledged means stored): lost was acknowledged and never reached the session of sub',
  )
  const text = told.join('\n')
  expect(text).toMatch(/sub\/2 suback filter t, qos 1\n[^]*FAULT begin kill-node of a/)
  expect(text).toMatch(/pub\/1 publish message lost[^]*pub\/1 puback message lost/)
  expect(text).not.toContain('message other')
})

it('the soak report counts by promise and fault, and gives the command that repeats a broken round', () => {
  const text = reportOf([summaryOf(round)]).join('\n')
  expect(text).toMatch(/G1 +acknowledged means stored +BROKEN 1\n/)
  expect(text).toMatch(/G2 .* kept\n/)
  expect(text).toMatch(/G13 .* kept\n/)
  expect(text).toMatch(/kill-node +1 +520 ms, 520 ms/)
  expect(text).toContain('again (G1): npm run soak -- --seed 4 --rounds 1 --round-seconds 10')
})

it('a recovery in the soak report ends with the acknowledgement of a message published after the fault', () => {
  expect(recoveriesOf(story.lines)).toEqual([{ fault: 'kill-node', tookMs: 520 }])
  expect(recoveriesOf(pair().fault('kill-node', 'begin').fault('kill-node', 'end').lines)).toEqual(
    [],
  )
})
