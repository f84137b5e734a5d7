/** The listeners of a node, each with what keeps its certificates equal to their files. */
import type { Config, ListenerConfig } from '@breakwater/config'
import type { Admission } from '../admit/admission.ts'
import { redisStep } from '../backplane/redis-wait.ts'
import type { NodeFiles } from '../files/node-files.ts'
import type { WatchedFiles } from '../files/watched-files.ts'
import { startListener, type Listener } from '../listen/listener.ts'
import { TlsKeeper } from '../listen/tls-keeper.ts'
import type { Events } from '../observe/events.ts'
import { startSharedTicketKey } from '../tickets/start.ts'
import type { Accept } from './connections.ts'
import type { Stages } from './stages.ts'

export interface ListenersOptions {
  readonly config: Config
  readonly files: NodeFiles
  readonly watched: WatchedFiles
  readonly events: Events
  readonly admission: Admission
  readonly stages: Pick<Stages, 'enforcement'>
  readonly acceptOf: (listener: string) => Accept
}

/** @throws {ConfigError} a port is taken or an address is not this machine's */
export async function openListeners(
  options: ListenersOptions,
  stack: AsyncDisposableStack,
): Promise<readonly Listener[]> {
  const { config, files, watched, events } = options
  const ticketKey = stack.use(await redisStep(startSharedTicketKey(config, files, watched, events)))
  const listeners: Listener[] = []
  for (const listener of config.listeners) {
    const keeper = keeperOf(listener, options)
    if (keeper !== undefined) {
      stack.use(keeper)
      ticketKey?.serve(keeper)
    }
    listeners.push(stack.use(await open(listener, keeper, options)))
  }
  return listeners
}

function keeperOf(
  listener: ListenerConfig,
  { files, watched, events, stages }: ListenersOptions,
): TlsKeeper | undefined {
  const served = files.tls.get(listener)
  if (served === undefined) return undefined
  return new TlsKeeper({
    listener: listener.name,
    ...served,
    watched,
    events,
    trustChanged: (trust) => void stages.enforcement.trustChanged(listener.name, trust),
  })
}

function open(
  listener: ListenerConfig,
  keeper: TlsKeeper | undefined,
  { config, events, admission, acceptOf }: ListenersOptions,
): Promise<Listener> {
  const { name } = listener
  const accept = acceptOf(name)
  return startListener({
    config: listener,
    admission,
    addressesAreReal: config.clientAddress === 'real',
    keeper,
    handshakeTimeoutMs: config.limits.handshakeTimeoutMs,
    packetBytesMax: config.limits.packetBytesMax,
    connectBytesMax: config.limits.connectBytesMax,
    onAccept: () => events.connectionAccepted(name),
    onStream: (socket, facts) => accept(socket, facts, keeper?.material.trust),
    onConnack: (code) => events.connackSent(code),
    onHandshake: (kind) => events.handshakeDone(kind),
    onHandshakeFailed: (peer, reason, detail) => events.handshakeFailed(name, peer, reason, detail),
    onRefused: (peer, reason, detail) => events.socketRefused(name, peer, reason, detail),
  })
}
