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
  /** What there is without either side. */
  readonly quiet: Quiet
  /** Rounds of both sides; at least one. */
  readonly roundsMax: number
  /** CPU time of the node, of each side, at which there is enough to compare. */
  readonly enoughCpuMs: number
}

export interface Side {
  readonly bytes: number
  /** Without that of the bystander. */
  readonly cpuMs: number
  readonly bystanderMs: number
}

export interface AttackResult {
  readonly attack: Side
  readonly harmless: Side
  readonly ratio: number
  readonly growthMib: number | undefined
  readonly redisMib: number | undefined
  /** Nodes that were declared dead meanwhile. */
  readonly deaths: number
  /** Of the bystander, while the node was attacked. */
  readonly roundTripsMs: readonly number[]
  /** What does not hold, each a sentence. */
  readonly faults: readonly string[]
}

/** CPU time that may be of something else: the collector, the compiler. */
const NOISE_MS = { attack: 60, harmless: 10 }
const WARM_UP_ROUNDS = 50
const QUIET_ROUNDS = 10
const QUIET_LOOKS = 3

/** @throws {Error} the bystander was closed or not answered, or the node has ended */
export async function runAttack(
  attackCase: AttackCase,
  scene: Scene,
  { quiet, roundsMax, enoughCpuMs }: RunOptions,
): Promise<AttackResult> {
  const { bystander } = scene
  await using harmless = await attackCase.harmless(scene)
  await using attack = await attackCase.attack(scene)
  // What is compiled at the first time is no cost of either.
  await harmless.strike()
  const redisBefore = await scene.redisMib()
  const deathsBefore = await scene.deaths()
  const before = memoryMib(scene.node)
  const spans = {
    attack: new Span(scene, quiet),
    harmless: new Span(scene, quiet),
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
    attack: spans.attack.side(),
    harmless: spans.harmless.side(),
    growthMib: before === undefined || peak === undefined ? undefined : peak - before,
    redisMib:
      redisBefore === undefined || redisAfter === undefined ? undefined : redisAfter - redisBefore,
    deaths: (await scene.deaths()) - deathsBefore,
    roundTripsMs,
  }
  const judged = { ...measured, ratio: perByte(measured.attack) / perByte(measured.harmless) }
  return { ...judged, faults: faultsOf(attackCase, judged) }
}

function faultsOf(
  { ratioMax = RATIO_MAX, growthMibMax = GROWTH_MIB_MAX, redisMibMax = REDIS_MIB_MAX }: AttackCase,
  { attack, harmless, ratio, growthMib = 0, redisMib = 0, deaths }: Omit<AttackResult, 'faults'>,
): string[] {
  const faults: string[] = []
  const allowedMs =
    ratioMax * perByte({ ...harmless, cpuMs: harmless.cpuMs + NOISE_MS.harmless }) * attack.bytes
  // The bystander may cost twice what it cost when all was quiet.
  if (attack.cpuMs - attack.bystanderMs - NOISE_MS.attack > allowedMs)
    faults.push(
      `a byte costs ${ratio.toFixed(1)} times as much CPU as a harmless one (${ratioMax} at most)`,
    )
  if (growthMib > growthMibMax)
    faults.push(`the node took ${growthMib.toFixed(0)} MiB more (${growthMibMax} at most)`)
  if (redisMib > redisMibMax)
    faults.push(`Redis took ${redisMib.toFixed(0)} MiB more (${redisMibMax} at most)`)
  if (deaths > 0) faults.push(`nodes were declared dead: ${deaths}`)
  return faults
}

export interface Quiet {
  /** Of one look at the metrics page. */
  readonly pageMs: number
  /** Of one message of the bystander. */
  readonly messageMs: number
  readonly roundTripsMs: readonly number[]
}

/** The least of several looks: whatever else the process does comes on top of it. */
export async function quietOf({ bystander, node }: Scene): Promise<Quiet> {
  await bystander.more(WARM_UP_ROUNDS)
  const first = bystander.roundTripsMs.length
  let [pageMs, messageMs] = [Infinity, Infinity]
  for (let look = 0; look < QUIET_LOOKS; look += 1) {
    const asked = await cpuMs(node)
    const before = await cpuMs(node)
    pageMs = Math.min(pageMs, before - asked)
    const rounds = bystander.roundTripsMs.length
    await bystander.more(QUIET_ROUNDS)
    const spentMs = Math.max(0, (await cpuMs(node)) - before - pageMs)
    messageMs = Math.min(messageMs, spentMs / (bystander.roundTripsMs.length - rounds))
  }
  return { pageMs, messageMs, roundTripsMs: bystander.roundTripsMs.slice(first) }
}

/** What the node spends on one side. */
class Span {
  readonly #scene: Scene
  readonly #quiet: Quiet
  #bytes = 0
  #bystanderMs = 0
  cpuMs = 0

  constructor(scene: Scene, quiet: Quiet) {
    this.#scene = scene
    this.#quiet = quiet
  }

  async over(strike: () => Promise<number>): Promise<void> {
    const { bystander, node } = this.#scene
    const { pageMs, messageMs } = this.#quiet
    const rounds = bystander.roundTripsMs.length
    const before = await cpuMs(node)
    this.#bytes += await strike()
    const spentMs = (await cpuMs(node)) - before
    bystander.check()
    const bystanderMs = (bystander.roundTripsMs.length - rounds) * messageMs
    this.#bystanderMs += bystanderMs
    this.cpuMs += Math.max(0, spentMs - pageMs - bystanderMs)
  }

  side(): Side {
    return { bytes: this.#bytes, cpuMs: this.cpuMs, bystanderMs: this.#bystanderMs }
  }
}

function perByte({ bytes, cpuMs: spentMs }: Pick<Side, 'bytes' | 'cpuMs'>): number {
  // Both sides have a cost, however little is measured of it.
  return Math.max(spentMs, 1) / Math.max(bytes, 1)
}
