/**
 * Connects to wherever a server is at that moment, with what the settings say at that moment, and hands out only
 * what the handshake has proved. A connection that fails it is closed, with the reason as its error.
 */
import { once } from 'node:events'
import { createConnection, Socket } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import type { RedisHost } from '@breakwater/config'
import { AbstractConnector, SentinelConnector, type RedisOptions } from 'ioredis'
import { replyError, shakeHands, type Handshake } from './handshake.ts'

type ConnectorConstructor = NonNullable<RedisOptions['Connector']>

/** Asked at each attempt: passwords and certificates are replaced while a node runs. */
export interface Credentials {
  handshake(): Handshake
  /** Undefined: the connection is a plain one. */
  tls(): ConnectionOptions | undefined
}

/** `whereabouts`: undefined where nobody knows one now. */
export function connectorTo(
  whereabouts: () => RedisHost | undefined,
  credentials: Credentials,
): ConnectorConstructor {
  return class extends AbstractConnector {
    constructor(options: unknown) {
      super((options as RedisOptions).disconnectTimeout ?? 0)
    }

    async connect(): Promise<Socket> {
      this.connecting = true
      const host = whereabouts()
      const tls = credentials.tls()
      const stream =
        host === undefined
          ? new Socket()
          : tls === undefined
            ? createConnection({ ...host })
            : connect({ ...host, ...tls })
      this.stream = stream
      if (host === undefined) stream.destroy()
      const fault =
        host === undefined
          ? new Error('the cluster has no master for it')
          : await prove(stream, tls !== undefined, credentials.handshake())
      if (fault === undefined) delete this.firstError
      else this.firstError = fault
      return stream
    }
  }
}

/** The options of the sentinels, with what may have changed of them. */
export type SentinelCredentials = Pick<
  RedisOptions,
  'sentinelPassword' | 'sentinelTLS' | 'tls' | 'enableTLSForSentinelMode'
>

/** The same to the master that sentinels name. */
export function sentinelConnector(
  sentinels: () => SentinelCredentials,
  credentials: Credentials,
): ConnectorConstructor {
  return class extends SentinelConnector {
    override async connect(emit: Parameters<SentinelConnector['connect']>[0]): Promise<Socket> {
      Object.assign(this.options, sentinels())
      const stream = await super.connect(emit)
      const fault = await prove(stream, credentials.tls() !== undefined, credentials.handshake())
      if (fault === undefined) delete this.firstError
      else {
        this.firstError = fault
        // The next sentinel may know better.
        if (fault.message.startsWith('READONLY ')) this.check({ role: 'slave' })
      }
      return stream
    }
  } as unknown as ConnectorConstructor
}

/** Why the connection cannot be used: it is closed then. Never rejects. */
async function prove(
  stream: Socket,
  secure: boolean,
  handshake: Handshake,
): Promise<Error | undefined> {
  // Later ones are told by the client; none may go without a listener in between.
  stream.on('error', () => undefined)
  try {
    await opened(stream, secure, handshake.timeoutMs)
    await shakeHands(stream, handshake)
    return stream.destroyed ? replyError('closed') : undefined
  } catch (error) {
    stream.destroy()
    return beforeAnswer(error as Error & { code?: string })
  }
}

/** A connection that ends while it is being made is no lost one: the server, or what stands for it, wants no such. */
function beforeAnswer(error: Error & { code?: string }): Error {
  const { code = '' } = error
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return error
  if (error.message.includes('TLS')) return error
  return Object.assign(new Error('closed without an answer'), { code })
}

async function opened(stream: Socket, secure: boolean, timeoutMs: number): Promise<void> {
  const late = AbortSignal.timeout(timeoutMs)
  const closed = once(stream, 'close', { signal: late }).then(() => {
    throw Object.assign(new Error('closed before it was open'), { code: 'ECONNRESET' })
  })
  try {
    await Promise.race([
      once(stream, secure ? 'secureConnect' : 'connect', { signal: late }),
      closed,
    ])
  } catch (error) {
    if (!late.aborted) throw error
    throw Object.assign(new Error(`no connection within ${timeoutMs} ms`), { code: 'ETIMEDOUT' })
  } finally {
    closed.catch(() => undefined)
  }
}
