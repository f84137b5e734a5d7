/** The short form of `npm run attack`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quietOf, runAttack, type Quiet } from './attack-run.ts'
import { ATTACKS } from './cases.ts'
import { startScene, type Scene, type SceneName } from './scene.ts'

const SEED = 1
const SHORT = { roundsMax: 2, enoughCpuMs: 40 }

describe.each(['alone', 'accounts', 'cluster'] as const satisfies readonly SceneName[])(
  'a node with a heap of 384 MB (%s) serves a well-behaved client under attack, and an attacking byte costs little more CPU than a harmless byte:',
  (name) => {
    let scene: Scene | undefined
    let quiet: Quiet | undefined
    beforeAll(async () => {
      scene = await startScene(name, SEED)
      quiet = await quietOf(scene)
    })
    afterAll(() => scene?.[Symbol.asyncDispose]())

    it.each(ATTACKS.filter((attack) => attack.scene === name))('$name: $sends', async (attack) => {
      if (scene === undefined || quiet === undefined) throw new Error('the scene did not start')
      const result = await runAttack(attack, scene, { quiet, ...SHORT })
      expect(result.faults).toEqual([])
      expect(result.roundTripsMs.length).toBeGreaterThan(0)
    })
  },
)
