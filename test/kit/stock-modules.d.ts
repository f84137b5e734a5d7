/** The published package has no types; this much of its README is used here. */
declare module 'aedes-persistence-redis' {
  import type { Redis } from 'ioredis'

  interface RedisPersistence {
    destroy(): Promise<void>
  }
  function redisPersistence(options?: { conn?: Redis }): RedisPersistence
  export default redisPersistence
}
