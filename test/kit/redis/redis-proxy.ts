/**
 * A way to Redis that a test can cut, close or stall, whichever Redis the run has: nodes are given the
 * address of the proxy, the server behind it stays untouched.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface RedisProxy extends AsyncDisposable {
  readonly url: string
  /** Ends every connection; new ones are taken. */
  cut(): void
  /** Ends every connection and refuses new ones, as a server does that is not running. */
  refuse(): Promise<void>
  /** Passes nothing on in either direction and says nothing, as a host does that hangs. */
  stall(): void
  /** Passes requests on and keeps the answers, for the connections that there are. */
  silence(): void
  /** The same for the connection that this text comes by on next. */
  silenceAfter(text: string): SilencedConnection
  /** Ends every connection; new ones go to another server, as after a failover. */
  moveTo(redisUrl: string): void
  /** New connections go to another server; those that there are stay, as behind a Service. */
  leadTo(redisUrl: string): void
  /** Everything works again: new connections, and those that were stalled or silenced. */
  restore(): Promise<void>
}

interface SilencedConnection {
  /** Resolves when the text has come by. */
  readonly silenced: Promise<void>
  /** The answers that were kept are passed on. */
  release(): void
}

interface Silencing {
  readonly text: string
  readonly silence: (far: Socket) => void
}

export async function startRedisProxy(redisUrl: string): Promise<RedisProxy> {
  let target = new URL(redisUrl)
  const pairs = new Set<readonly [Socket, Socket]>()
  let stalled = false
  const silencings = new Set<Silencing>()
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    const pair = [near, far] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [far, near] as const]) {
      from.pipe(to)
      if (stalled) from.pause()
      from.on('error', () => to.destroy())
      from.on('close', () => {
        to.destroy()
        pairs.delete(pair)
      })
    }
    near.on('data', (chunk: Buffer) => {
      for (const { text, silence } of silencings) if (chunk.includes(text)) silence(far)
    })
  })
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  const refuse = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    cut()
    await closed
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  const url = new URL(redisUrl)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    cut,
    refuse,
    stall: () => {
      stalled = true
      for (const pair of pairs) for (const socket of pair) socket.pause()
    },
    moveTo: (other) => {
      target = new URL(other)
      cut()
    },
    leadTo: (other) => {
      target = new URL(other)
    },
    silence: () => {
      for (const [, far] of pairs) far.pause()
    },
    silenceAfter: (text) => {
      const { promise: silenced, resolve } = Promise.withResolvers<void>()
      let release = (): void => void silencings.delete(silencing)
      const silencing = {
        text,
        silence: (far: Socket): void => {
          silencings.delete(silencing)
          far.pause()
          release = () => void far.resume()
          resolve()
        },
      }
      silencings.add(silencing)
      return { silenced, release: () => release() }
    },
    restore: async () => {
      stalled = false
      silencings.clear()
      for (const pair of pairs) for (const socket of pair) socket.resume()
      if (!server.listening) await listen(port)
    },
    [Symbol.asyncDispose]: refuse,
  }
}
