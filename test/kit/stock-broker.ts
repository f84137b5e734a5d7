/**
 * The reference: aedes, aedes-persistence-redis and mqemitter-redis, unmodified and assembled as their
 * READMEs say. Suites and benchmarks compare Breakwater with it, so nothing is repaired here.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { Aedes, type AedesOptions, type Client } from 'aedes'
import redisPersistence from 'aedes-persistence-redis'
import { Redis } from 'ioredis'
import mqemitterRedis from 'mqemitter-redis'

const BAD_USER_NAME_OR_PASSWORD = { returnCode: 4 } as const

export interface StockBrokerOptions {
  /** Persistence and emitter on this Redis; both in memory if it is not given. */
  readonly redisUrl?: string
  /** TLS with this certificate; plain otherwise. */
  readonly tls?: Pick<TlsOptions, 'cert' | 'key' | 'ca'>
  /** Passwords by user name; without it everybody may connect. */
  readonly users?: Readonly<Record<string, string>>
  readonly host?: string
  readonly port?: number
}

export interface StockBroker extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly broker: Aedes
}

export async function startStockBroker(options: StockBrokerOptions = {}): Promise<StockBroker> {
  const { redisUrl, tls, users, host = '127.0.0.1' } = options
  const settings: AedesOptions = {}
  let persistenceClient: Redis | undefined
  if (redisUrl !== undefined) {
    persistenceClient = new Redis(redisUrl)
    settings.persistence = redisPersistence({ conn: persistenceClient })
    settings.mq = mqemitterRedis({ connectionString: redisUrl })
  }
  if (users) settings.authenticate = authenticateWith(users)
  const broker = await Aedes.createBroker(settings)

  const sockets = new Set<Socket>()
  const server: Server = tls ? createTlsServer(tls) : createServer()
  server.on(tls ? 'secureConnection' : 'connection', broker.handle)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(options.port ?? 0, host)
  await once(server, 'listening')

  return {
    host,
    port: (server.address() as AddressInfo).port,
    broker,
    async [Symbol.asyncDispose]() {
      const serverClosed = once(server, 'close')
      server.close()
      await new Promise<void>((resolve) => broker.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await serverClosed
      await persistenceClient?.quit()
    },
  }
}

function authenticateWith(
  users: Readonly<Record<string, string>>,
): NonNullable<AedesOptions['authenticate']> {
  return (_client: Client, username, password, done) => {
    const known = username !== undefined && Object.hasOwn(users, username)
    if (known && users[username] === password?.toString()) return done(null, true)
    done(Object.assign(new Error('bad user name or password'), BAD_USER_NAME_OR_PASSWORD), null)
  }
}
