/** Connects to wherever a server is at that moment, as ioredis does to one that never moves. */
import { createConnection, Socket } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import type { RedisHost } from '@breakwater/config'
import { AbstractConnector, type RedisOptions } from 'ioredis'

type ConnectorConstructor = NonNullable<RedisOptions['Connector']>

export function connectorTo(whereabouts: () => RedisHost | undefined): ConnectorConstructor {
  return class extends AbstractConnector {
    readonly #tls: ConnectionOptions | undefined

    constructor(options: unknown) {
      const { disconnectTimeout = 0, tls } = options as RedisOptions
      super(disconnectTimeout)
      this.#tls = tls
    }

    async connect(): Promise<Socket> {
      this.connecting = true
      const host = whereabouts()
      const stream =
        host === undefined
          ? new Socket()
          : this.#tls === undefined
            ? createConnection({ ...host })
            : connect({ ...host, ...this.#tls })
      stream.once('error', (error: Error) => {
        this.firstError = error
      })
      if (host === undefined) stream.destroy(new Error('the cluster has no master for it'))
      this.stream = stream
      return stream
    }
  }
}
