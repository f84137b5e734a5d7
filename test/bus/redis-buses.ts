/** Nodes of one bus on a Redis of the test run; each group has channels of its own. */
import { createRedisBus, type Bus, type RedisBusOptions } from '@breakwater/bus'
import type { RedisSettings } from '@breakwater/redis'

export interface RedisBuses extends AsyncDisposable {
  readonly settings: RedisSettings
  /** Faults without a caller to report them to, of all nodes. */
  readonly faults: Error[]
  join(options?: Partial<RedisBusOptions>, url?: string): Promise<Bus>
}

let groups = 0

export function redisBuses({ url, prefix }: { url: string; prefix: string }): RedisBuses {
  groups += 1
  const settings = { url, password: undefined, ca: undefined, prefix: `${prefix}${groups}:` }
  const faults: Error[] = []
  const stack = new AsyncDisposableStack()
  return {
    settings,
    faults,
    join: async (options = {}, via = url) =>
      stack.use(
        await createRedisBus(
          { ...settings, url: via },
          { timeoutMs: 10_000, onFault: (error) => faults.push(error), ...options },
        ),
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
