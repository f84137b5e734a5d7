/** What an attack is: data for the run (attack-run.ts), which knows nothing of any of them. */
import type { Scene, SceneName } from './scene.ts'

/** One of the two sides that are compared. */
export interface Party extends AsyncDisposable {
  /** Sends, and waits until the node has dealt with it. Gives the bytes that it had to deal with. */
  strike(): Promise<number>
}

export type PartyMaker = (scene: Scene) => Promise<Party>

export interface AttackCase {
  readonly name: string
  /** What is sent, for the table. */
  readonly sends: string
  /** What a client without ill intent sends instead, in packets of that size. */
  readonly comparedWith: string
  readonly scene: SceneName
  readonly attack: PartyMaker
  readonly harmless: PartyMaker
  /** CPU time of the node for a byte of the attack, in that for a byte of the other. Default: RATIO_MAX. */
  readonly ratioMax?: number
  /** What the attack may add to the memory of the node at its peak. Default: GROWTH_MIB_MAX. */
  readonly growthMibMax?: number
  /** What it may add to that of Redis, where there is one. Default: REDIS_MIB_MAX. */
  readonly redisMibMax?: number
}

export const RATIO_MAX = 4
export const GROWTH_MIB_MAX = 192
export const REDIS_MIB_MAX = 64
