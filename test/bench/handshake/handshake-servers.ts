/** The servers in the comparison of TLS handshakes: each a process of its own, with the same certificates. */
import { startMosquitto } from '../../kit/mosquitto.ts'
import { guardProgram } from '../../kit/program-guard.ts'
import { startNodeProcess } from '../node-process.ts'

export const HANDSHAKE_SERVERS = ['breakwater', 'mosquitto', 'bare'] as const
export type HandshakeServer = (typeof HANDSHAKE_SERVERS)[number]

export interface ServerFiles {
  readonly certFile: string
  readonly keyFile: string
  /** The authority of the clients, where they have to show certificates. */
  readonly clientCaFile: string | undefined
}

export interface RunningServer extends AsyncDisposable {
  readonly pid: number
  readonly port: number
}

const BREAKWATER = new URL('../../../packages/broker/dist/main.js', import.meta.url)
const BARE = new URL('./bare-tls-process.mjs', import.meta.url)

export const startServer: Readonly<
  Record<HandshakeServer, (files: ServerFiles) => Promise<RunningServer>>
> = {
  async breakwater({ certFile, keyFile, clientCaFile }) {
    const mutual = {
      BREAKWATER_TLS_CLIENT_CA: clientCaFile ?? '',
      BREAKWATER_TLS_CLIENT_AUTH: 'required',
      BREAKWATER_TLS_IDENTITY: 'cn',
    }
    return portOf(
      await startNodeProcess({
        entry: BREAKWATER,
        args: ['serve'],
        env: {
          BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0',
          BREAKWATER_ADMIN: 'http://127.0.0.1:0',
          BREAKWATER_TLS_CERT: certFile,
          BREAKWATER_TLS_KEY: keyFile,
          BREAKWATER_ALLOW_ANONYMOUS: 'true',
          // On a busy machine no client is to be refused for that.
          BREAKWATER_LIMIT_LOOP_DELAY_MAX_MS: '600000',
          ...(clientCaFile === undefined ? {} : mutual),
        },
      }),
    )
  },
  async mosquitto({ certFile, keyFile, clientCaFile }) {
    const mutual = [`cafile ${clientCaFile}`, 'require_certificate true']
    const mosquitto = await startMosquitto({
      lines: [
        `certfile ${certFile}`,
        `keyfile ${keyFile}`,
        ...(clientCaFile === undefined ? [] : mutual),
      ],
    })
    const release = guardProgram(mosquitto.pid, '')
    return {
      pid: mosquitto.pid,
      port: mosquitto.port,
      async [Symbol.asyncDispose]() {
        await mosquitto[Symbol.asyncDispose]()
        release()
      },
    }
  },
  async bare({ certFile, keyFile, clientCaFile }) {
    const args = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
    return portOf(await startNodeProcess({ entry: BARE, args }))
  },
}

function portOf(process: Awaited<ReturnType<typeof startNodeProcess>>): RunningServer {
  const { pid, urls } = process
  return {
    pid,
    port: Number(new URL(urls[0] ?? '').port),
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  }
}
