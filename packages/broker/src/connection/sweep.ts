/**
 * One timer for all connections: CONNECT deadline, keep-alive, logins and certificates that end, stalled clients,
 * sockets that do not end. A timer per connection would cost more than the check.
 */
import type { Limits } from '@breakwater/config'
import type { Connection } from './connection.ts'

const PERIOD_MS = 500
/** A closing connection whose peer does not take the last bytes is cut after so long. */
const LINGER_MS = 2_000

export class Sweep implements Disposable {
  readonly #limits: Limits
  readonly #connections: ReadonlySet<Connection>
  readonly #closing = new Map<Connection, number>()
  readonly #timer: NodeJS.Timeout

  constructor(connections: ReadonlySet<Connection>, limits: Limits) {
    this.#connections = connections
    this.#limits = limits
    // Timers come before sockets: of a process that was stopped or late, what clients have sent is read first.
    this.#timer = setInterval(() => setImmediate(() => this.#sweep(performance.now())), PERIOD_MS)
    this.#timer.unref()
  }

  /** The connection was closed; its socket may still write. */
  closing(connection: Connection): void {
    if (!connection.destroyed) this.#closing.set(connection, performance.now() + LINGER_MS)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #sweep(nowMs: number): void {
    const { connectTimeoutMs, stallTimeoutMs } = this.#limits
    for (const connection of this.#connections) {
      const silentMs = connection.silence(nowMs)
      if (!connection.answered) {
        if (nowMs - connection.openedAt > connectTimeoutMs) connection.close('connect-timeout')
        continue
      }
      const { keepAliveMs, expiresAt, expiryReason } = connection
      // [MQTT-3.1.2-24]: one and a half times the interval.
      if (keepAliveMs > 0 && silentMs > keepAliveMs * 1.5) connection.close('keep-alive-timeout')
      else if (connection.stalledFor(nowMs) > stallTimeoutMs) connection.close('stalled')
      else if (expiresAt !== undefined && expiresAt <= Date.now()) connection.close(expiryReason)
    }
    for (const [connection, deadline] of this.#closing) {
      if (deadline < nowMs) connection.destroy()
      if (connection.destroyed) this.#closing.delete(connection)
    }
  }
}
