/**
 * Which broker the suites speak to: `BREAKWATER_TEST_TARGET` = `breakwater` (default), `stock` (the
 * three packages unmodified) or `mosquitto`. A suite asks for a target and knows only the wire; where a
 * test needs more than the wire, it asks `targetName`.
 */
import type { Limits } from '@breakwater/config'
import { startMosquitto } from './mosquitto.ts'
import { startStockBroker } from './stock-broker.ts'

const TARGET_NAMES = ['breakwater', 'stock', 'mosquitto'] as const
export type TargetName = (typeof TARGET_NAMES)[number]

export interface TargetOptions {
  /** State on this Redis; in memory if it is not given. Mosquitto has no such choice. */
  readonly redis?: { readonly url: string; readonly prefix: string }
  /** Passwords by user name; without it everybody may connect. */
  readonly users?: Readonly<Record<string, string>>
  /** Breakwater only: other brokers keep their own limits. */
  readonly limits?: Partial<Limits>
}

export interface Target extends AsyncDisposable {
  readonly name: TargetName
  readonly host: string
  readonly port: number
  /** Why connections were closed, as the broker logged it; undefined where it does not say. */
  readonly closeReasons?: () => string[]
}

export const targetName: TargetName = readTargetName(process.env['BREAKWATER_TEST_TARGET'])

export function startTarget(options: TargetOptions = {}): Promise<Target> {
  return starters[targetName](options)
}

const starters: Readonly<Record<TargetName, (options: TargetOptions) => Promise<Target>>> = {
  async breakwater({ redis, users, limits }) {
    // Not at the top: a run against another broker needs no Breakwater that works.
    const { startNode } = await import('./node.ts')
    const node = await startNode({
      allowAnonymous: users === undefined,
      ...(redis ? { redisUrl: redis.url, redisPrefix: redis.prefix } : {}),
      ...(users ? { users: { ...users } } : {}),
      ...(limits ? { limits } : {}),
    })
    return { ...withName(node), closeReasons: () => node.closeReasons() }
  },
  async stock({ redis, users }) {
    const broker = await startStockBroker({
      ...(redis ? { redisUrl: redis.url } : {}),
      ...(users ? { users } : {}),
    })
    return withName(broker)
  },
  async mosquitto({ users }) {
    return withName(await startMosquitto(users ? { users } : {}))
  },
}

function withName(broker: Omit<Target, 'name'>): Target {
  const { host, port } = broker
  return {
    name: targetName,
    host,
    port,
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
}

function readTargetName(name = 'breakwater'): TargetName {
  const known = TARGET_NAMES.find((candidate) => candidate === name)
  if (!known) throw new Error(`BREAKWATER_TEST_TARGET is ${name}, not ${TARGET_NAMES.join(', ')}`)
  return known
}
