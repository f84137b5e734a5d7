/** What clients cost that do nothing but connect, subscribe and stay. */
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { PacketFlow } from '../fault/packet-flow.ts'
import type { NodeProcess } from '../kit/node.ts'
import { encodeConnect, encodePingreq, encodeSubscribe } from '../kit/wire-encoder.ts'
import { between, sum, type SimulationRig } from './rig.ts'

const PING_CLIENTS = 200
const PING_ROUNDS = 40
const PING_EVERY_MS = 100
const SUBSCRIBES = 1_500
const WARM_SUBSCRIBES = 200
const FIRST_CONNECTIONS = 500
const CONNECTIONS = 1_500
const WAIT_MS = 30_000
const CONNACK_BYTES = 4
const SUBACK_BYTES = 5
const KIB = 1_024

/** One SUBSCRIBE after the other, each to a filter of its own: all nodes together, and Redis. */
export async function measureSubscribe(
  rig: SimulationRig,
): Promise<{ nodesUs: number; redisUs: number }> {
  let answered = 0
  await using flow = await PacketFlow.connect(
    rig.nodes[0] as NodeProcess,
    { clientId: 'subscriber' },
    ({ type }) => {
      if (type === 'suback') answered += 1
    },
  )
  const subscribe = async (count: number): Promise<void> => {
    const end = answered + count
    while (answered < end) {
      const next = answered + 1
      flow.send(encodeSubscribe(next, [[`s/${rig.nodes.length}/${next}`, 0]]))
      await flow.until(() => answered >= next, 'SUBACK', WAIT_MS)
    }
  }
  await subscribe(WARM_SUBSCRIBES)
  const count = SUBSCRIBES / 2
  const before = await rig.used()
  await subscribe(count)
  const used = between(before, await rig.used())
  return { nodesUs: sum(used.nodesUs) / count, redisUs: used.redisUs / count }
}

/** PINGREQ and PINGRESP, without what an idle node takes. */
export async function measurePing(rig: SimulationRig, idleUsPerSecond: number): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const node = rig.nodes[0] as NodeProcess
  let answers = 0
  const flows: PacketFlow[] = []
  for (let index = 0; index < PING_CLIENTS; index += 1)
    flows.push(
      stack.use(
        await PacketFlow.connect(node, { clientId: `ping-${index}` }, () => void (answers += 1)),
      ),
    )
  const before = await rig.used()
  const started = performance.now()
  for (let round = 1; round <= PING_ROUNDS; round += 1) {
    for (const [index, flow] of flows.entries()) {
      flow.send(encodePingreq())
      // One by one, as they come from devices.
      if (index % 8 === 7) await new Promise((resolve) => setTimeout(resolve, PING_EVERY_MS / 25))
    }
    const [first] = flows
    await first?.until(() => answers >= (round - 1) * PING_CLIENTS, 'PINGRESP', WAIT_MS)
  }
  const used = between(before, await rig.used())
  const seconds = (performance.now() - started) / 1_000
  return ((used.nodesUs[0] ?? 0) - idleUsPerSecond * seconds) / (PING_CLIENTS * PING_ROUNDS)
}

/** Connections with a subscription, over TLS: CPU and resident memory of their node. */
export async function measureConnect(
  rig: SimulationRig,
): Promise<{ connectUs: number; connectionBytes: number }> {
  const node = rig.nodes[0] as NodeProcess
  const sockets: TLSSocket[] = []
  const connect = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1)
      sockets.push(await connectOne(node, `c-${sockets.length}`))
  }
  try {
    await connect(FIRST_CONNECTIONS)
    const [memoryBefore, before] = [residentBytes(node), await rig.used()]
    await connect(CONNECTIONS)
    const used = between(before, await rig.used())
    return {
      connectUs: (used.nodesUs[0] ?? 0) / CONNECTIONS,
      connectionBytes: (residentBytes(node) - memoryBefore) / CONNECTIONS,
    }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

async function connectOne(node: NodeProcess, clientId: string): Promise<TLSSocket> {
  const { host, tlsPort: port, ca } = node
  const socket = connectTls({ host, port, ca, servername: 'localhost' })
  // Pending callers get the error; when all is measured there are none.
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  socket.write(encodeConnect({ clientId, keepAliveSeconds: 600 }))
  socket.write(encodeSubscribe(1, [['all/+', 0]]))
  let read = 0
  while (read < CONNACK_BYTES + SUBACK_BYTES) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    read += chunk.length
  }
  return socket
}

function residentBytes({ process: { pid } }: NodeProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * KIB
}
