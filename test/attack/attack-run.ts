/**
 * Runs one case in its scene, and judges it.
 *
 * Both sides strike in turns until there is enough to compare, with the bystander at work all the time. What is
 * compared is CPU time of the node for each byte, in one run on one machine; what the bystander costs is known from
 * a quiet moment before, and is not counted. No time is judged: a machine that does much else fails no case.
 */
import { GROWTH_MIB_MAX, RATIO_MAX, REDIS_MIB_MAX, type AttackCase } from './attack-case.ts'
import { cpuMs, memoryMib, peakMib } from './process-cost.ts'
import type { Scene } from './scene.ts'

export interface RunOptions {
  /** Rounds of both sides; at least one. */
  readonly roundsMax: number
  /** CPU time of the node, of each side, at which there is enough to compare. */
  readonly enoughCpuMs: number
}

export interface Side {
  readonly bytes: number
  readonly cpuMs: number
}

export interface AttackResult {
  readonly attack: Side
  readonly harmless: Side
  readonly ratio: number
  readonly growthMib: number | undefined
  readonly redisMib: number | undefined
  /** Of the bystander, while it was attacked. */
  readonly roundTripsMs: readonly number[]
  /** What does not hold, each a sentence. */
  readonly faults: readonly string[]
}

/** CPU time that may be of something else: the collector, the compiler. */
const NOISE_MS = { attack: 60, harmless: 10 }
const QUIET_ROUNDS = 12

/** @throws {Error} the bystander was closed or not answered, or the node has ended */
export async function runAttack(
  attackCase: AttackCase,
  scene: Scene,
  { roundsMax, enoughCpuMs }: RunOptions,
): Promise<AttackResult> {
  const { bystander } = scene
  await using harmless = await attackCase.harmless(scene)
  await using attack = await attackCase.attack(scene)
  // What is compiled at the first time is no cost of either.
  await harmless.strike()
  await bystander.more(QUIET_ROUNDS)
  const page = new Span(scene)
  await page.over(() => Promise.resolve())
  const quiet = new Span(scene, page.cpuMs)
  await quiet.over(() => bystander.more(QUIET_ROUNDS))
  const redisBefore = await scene.redisMib()
  const before = memoryMib(scene.node)
  const spans = {
    attack: new Span(scene, page.cpuMs),
    harmless: new Span(scene, page.cpuMs),
  }
  const roundTripsMs: number[] = []
  for (let round = 0; round < roundsMax; round += 1) {
    await spans.harmless.over(() => harmless.strike())
    const seen = bystander.roundTripsMs.length
    await spans.attack.over(() => attack.strike())
    // What was under way during the attack has been answered, too.
    await bystander.more(1)
    roundTripsMs.push(...bystander.roundTripsMs.slice(seen))
    if (Math.min(spans.attack.cpuMs, spans.harmless.cpuMs) >= enoughCpuMs) break
  }
  const peak = peakMib(scene.node)
  const redisAfter = await scene.redisMib()
  const measured = {
    attack: spans.attack.without(quiet),
    harmless: spans.harmless.without(quiet),
    growthMib: before === undefined || peak === undefined ? undefined : peak - before,
    redisMib:
      redisBefore === undefined || redisAfter === undefined ? undefined : redisAfter - redisBefore,
    roundTripsMs,
  }
  const judged = { ...measured, ratio: perByte(measured.attack) / perByte(measured.harmless) }
  return { ...judged, faults: faultsOf(attackCase, judged) }
}

function faultsOf(
  { ratioMax = RATIO_MAX, growthMibMax = GROWTH_MIB_MAX, redisMibMax = REDIS_MIB_MAX }: AttackCase,
  { attack, harmless, ratio, growthMib = 0, redisMib = 0 }: Omit<AttackResult, 'faults'>,
): string[] {
  const faults: string[] = []
  const allowedMs =
    ratioMax * perByte({ ...harmless, cpuMs: harmless.cpuMs + NOISE_MS.harmless }) * attack.bytes
  if (attack.cpuMs - NOISE_MS.attack > allowedMs)
    faults.push(
      `a byte costs ${ratio.toFixed(1)} times as much CPU as a harmless one (${ratioMax} at most)`,
    )
  if (growthMib > growthMibMax)
    faults.push(`the node took ${growthMib.toFixed(0)} MiB more (${growthMibMax} at most)`)
  if (redisMib > redisMibMax)
    faults.push(`Redis took ${redisMib.toFixed(0)} MiB more (${redisMibMax} at most)`)
  return faults
}

/** What the node spends while something is done, the bystander's messages included. */
class Span {
  readonly #scene: Scene
  readonly #pageMs: number
  bytes = 0
  cpuMs = 0
  #rounds = 0

  /** @param pageMs what it costs to ask, which is in each measurement once */
  constructor(scene: Scene, pageMs = 0) {
    this.#scene = scene
    this.#pageMs = pageMs
  }

  async over(act: () => Promise<number | void>): Promise<void> {
    const { bystander, node } = this.#scene
    const rounds = bystander.roundTripsMs.length
    const startedMs = await cpuMs(node)
    this.bytes += (await act()) ?? 0
    this.cpuMs += Math.max(0, (await cpuMs(node)) - startedMs - this.#pageMs)
    this.#rounds += bystander.roundTripsMs.length - rounds
    bystander.check()
  }

  without(quiet: Span): Side {
    const bystanderMs = (quiet.cpuMs / quiet.#rounds) * this.#rounds
    return { bytes: this.bytes, cpuMs: Math.max(0, this.cpuMs - bystanderMs) }
  }
}

function perByte({ bytes, cpuMs: spentMs }: Side): number {
  // Both sides have a cost, however little is measured of it.
  return Math.max(spentMs, 1) / Math.max(bytes, 1)
}
