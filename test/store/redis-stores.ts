/** Stores on a Redis of the test run, each group with a prefix of its own. */
import type { RedisSettings } from '@breakwater/redis'
import {
  createRedisStore,
  type QueueBounds,
  type RedisStoreOptions,
  type Store,
} from '@breakwater/store'
import { OwnedStore, type RawStores } from '@breakwater/store/compliance'

export const queueBounds: QueueBounds = { queueMessagesMax: 100_000, queueBytesMax: 67_108_864 }

export interface RedisStores extends AsyncDisposable {
  readonly settings: RedisSettings
  /** Faults without a caller to report them to, of all stores. */
  readonly faults: Error[]
  /** One more store over the same data, as another node has it. */
  open(options?: Partial<RedisStoreOptions>): Promise<OwnedStore>
  openRaw(options?: Partial<RedisStoreOptions>): Promise<Store>
}

let groups = 0

/** `shared`: the prefix of another group, which has the same data then. */
export function redisStores(
  { url, prefix }: { url: string; prefix: string },
  shared?: string,
): RedisStores {
  groups += 1
  const own = shared ?? `${prefix}${groups}:`
  const settings = { url, password: undefined, ca: undefined, prefix: own }
  const faults: Error[] = []
  const stack = new AsyncDisposableStack()
  const epochs = new Map<string, number>()
  const openRaw: RedisStores['openRaw'] = async (options = {}) =>
    stack.use(
      await createRedisStore(settings, {
        ...queueBounds,
        timeoutMs: 10_000,
        onFault: (error) => faults.push(error),
        ...options,
      }),
    )
  return {
    settings,
    faults,
    open: async (options) => new OwnedStore(await openRaw(options), epochs),
    openRaw,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

export async function openUnderTest(
  redis: { url: string; prefix: string },
  options: Partial<RedisStoreOptions> = {},
): Promise<RawStores> {
  const stores = redisStores(redis)
  const [store, other] = await Promise.all([stores.openRaw(options), stores.openRaw(options)])
  return { store, other, [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose]() }
}
