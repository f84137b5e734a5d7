/**
 * Where this run's Redis comes from. `npm test` decides once and hands the answer on in
 * BREAKWATER_TEST_REDIS_MODE; a bare `vitest run` decides by itself, once per worker.
 *
 * Run as a program it prints the mode and why the ones before it were passed over.
 */
import { findDockerEngine } from '../docker-engine.ts'
import { findProgram } from '../program.ts'
import { startRedisContainer } from './redis-container.ts'

/** In the order in which they are tried. */
const redisModes = ['external', 'container', 'process'] as const
export type RedisMode = (typeof redisModes)[number]

export interface RedisModeFound {
  /** Undefined where this machine offers none. */
  readonly mode: RedisMode | undefined
  /** Why a mode that looked possible was passed over. */
  readonly passedOver: readonly string[]
}

/** A first pull of the image is part of it; an engine without network must not hold everything up. */
const containerTimeoutMs = 120_000

let decided: Promise<RedisModeFound> | undefined

export function findRedisMode(): Promise<RedisModeFound> {
  decided ??= decide()
  return decided
}

async function decide(): Promise<RedisModeFound> {
  const given = process.env['BREAKWATER_TEST_REDIS_MODE']
  if (given !== undefined) {
    const mode = redisModes.find((name) => name === given)
    if (mode !== undefined) return { mode, passedOver: [] }
    throw new Error(`BREAKWATER_TEST_REDIS_MODE: must be one of ${redisModes.join(', ')}`)
  }
  if (process.env['BREAKWATER_TEST_REDIS_URL'] !== undefined) {
    return { mode: 'external', passedOver: [] }
  }
  const refusal = await containerRefusal()
  if (refusal === undefined) return { mode: 'container', passedOver: [] }
  const mode = findProgram('redis-server') === undefined ? undefined : 'process'
  return { mode, passedOver: [refusal] }
}

/** Why no container can be had, found by starting one; undefined where it works. */
export async function containerRefusal(): Promise<string | undefined> {
  if ((await findDockerEngine()) === undefined) return 'no Docker engine'
  const late = AbortSignal.timeout(containerTimeoutMs)
  const timeout = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error('no answer in time')), { once: true })
  })
  try {
    const server = await Promise.race([startRedisContainer([]), timeout])
    await server[Symbol.asyncDispose]()
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return `the Docker engine runs no Redis (${reason.split('\n', 1)[0]})`
  }
}

if (import.meta.main) {
  process.stdout.write(`${JSON.stringify(await findRedisMode())}\n`)
}
