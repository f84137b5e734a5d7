/**
 * Conversations with a node that is a process of its own, all of them drawn from one seed. What must hold: it
 * lives, it reports no close reason that is its own fault, it serves another client all the time, it logs no
 * error, and the memory that it took comes back.
 */
import * as fc from 'fast-check'
import { fileURLToPath } from 'node:url'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { conversations, TRANSPORTS, type Conversation, type Transport } from './conversation.ts'
import { converse, FUZZ_LISTEN, type FuzzTarget } from './converse.ts'
import { FuzzMemory } from './fuzz-memory.ts'

const NODE = fileURLToPath(new URL('./fuzz-node.ts', import.meta.url))
const PARALLEL = 8
/** Drawn at once. */
const BATCH = 200

/**
 * What a client can be blamed for; `taken-over` where noise has made two client ids the same, `health-check` where
 * a reset has overtaken everything that was sent.
 */
const BLAME: ReadonlySet<string> = new Set([
  'health-check',
  'disconnected',
  'connection-lost',
  'socket-error',
  'malformed-packet',
  'protocol-violation',
  'packet-too-large',
  'topic-too-long',
  'unsupported-protocol-version',
  'client-id-rejected',
  'receive-maximum-exceeded',
  'taken-over',
  'handshake-failed',
  'websocket-refused',
])

export interface FuzzOptions {
  readonly seed: number
  /** Asked before each batch, with how many conversations there were. */
  readonly isEnough: (held: number) => boolean
  readonly onBatch?: (held: number) => void
}

export interface FuzzReport {
  readonly held: number
  /** Ends by their reason, as the node has logged them. */
  readonly reasons: Readonly<Record<string, number>>
  /** Heap in use behind a collection, MiB: after the first batches, and at the end. */
  readonly heapMib: readonly [before: number, after: number]
}

/** @throws {Error} something does not hold; the message has the seed and the batch */
export async function fuzz({ seed, isEnough, onBatch }: FuzzOptions): Promise<FuzzReport> {
  await using node = await spawnNode({
    main: NODE,
    listen: TRANSPORTS.map((transport) => FUZZ_LISTEN[transport]),
    // Few of everything, so that what piles up reaches its bound soon.
    limits: {
      packetBytesMax: 2_000,
      inboundQos2Max: 3,
      queueMessagesMax: 20,
      // Longer than a conversation may take: nothing here ends because its time is up.
      handshakeTimeoutMs: 60_000,
      connectTimeoutMs: 60_000,
    },
  })
  await using witness = await WireClient.open(node, { timeoutMs: 30_000 })
  await witness.connect({ clientId: 'witness' })
  await witness.subscribe(['witness/only', 1])
  const memory = new FuzzMemory(node)
  const target = targetOf(node)
  let held = 0
  let before = 0
  for (let batch = 0; !isEnough(held); batch += 1) {
    try {
      held += await holdAll(target, drawn(seed, batch))
      await witness.publish({ topic: 'witness/only', payload: `${batch}`, qos: 1 })
      const [message] = await witness.receive(1)
      if (String(message?.payload) !== `${batch}`)
        throw new Error('the witness got another message')
      check(node)
      if (batch < WARM_UP_BATCHES) before = await memory.settled()
    } catch (cause) {
      throw new Error(`seed ${seed}, batch ${batch}: ${(cause as Error).message}`, { cause })
    }
    onBatch?.(held)
  }
  const after = await memory.settled(before + GROWTH_MIB_MAX)
  if (after > before + GROWTH_MIB_MAX)
    throw new Error(`seed ${seed}: the heap has grown from ${before} to ${after} MiB`)
  return { held, reasons: countsOf(node.closeReasons()), heapMib: [before, after] }
}

const WARM_UP_BATCHES = 2
const GROWTH_MIB_MAX = 8

/** The same for the same seed and batch: a few of each transport, in turn. */
function drawn(seed: number, batch: number): Conversation[] {
  return TRANSPORTS.flatMap((transport, index) =>
    fc.sample(conversations(transport), {
      seed: seed + batch * TRANSPORTS.length + index,
      numRuns: BATCH / TRANSPORTS.length,
    }),
  )
}

async function holdAll(target: FuzzTarget, all: readonly Conversation[]): Promise<number> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < all.length) {
      const conversation = all[next] as Conversation
      next += 1
      await converse(target, conversation)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  return all.length
}

function check(node: NodeProcess): void {
  const { exitCode, signalCode } = node.process
  if (exitCode !== null || signalCode !== null)
    throw new Error(`the node has ended with ${signalCode ?? exitCode}`)
  const error = node.logs().find(({ level }) => level === 'error' || level === 'fatal')
  if (error !== undefined) throw new Error(`the node has logged ${JSON.stringify(error)}`)
  const fault = node.closeReasons().find((reason) => !BLAME.has(reason))
  if (fault !== undefined) throw new Error(`a connection has ended as ${fault}`)
}

function targetOf(node: NodeProcess): FuzzTarget {
  const ports = Object.fromEntries(
    TRANSPORTS.map((transport, index) => [transport, node.ports[index]]),
  ) as Record<Transport, number>
  return { ports, ca: node.ca }
}

function countsOf(reasons: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}
