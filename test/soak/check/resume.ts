/**
 * G6: a session is there when its client comes back; what the client has not acknowledged comes again, with its
 * packet id and DUP. G3's half that only shows here: an acknowledgement of a connection that was taken over
 * already counts for nothing, so the message comes again all the same.
 *
 * Members of shared groups are judged by shared.ts: a message that one has not acknowledged reaches another member.
 *
 * DUP and packet id are judged for messages that were sent once (a second PUBLISH is a second message of QoS 1),
 * and where the client asked for the new connection after it had received the message on the old one. DUP only
 * where the node had the time and a Redis to note what it had sent.
 */
import type { Delivery, HistoryLine } from '../history.ts'
import { faultWindows, type Windows } from './fault-windows.ts'
import { sentOnce, succeededAt, type At, type HistoryIndex, type Life } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

/** What a node needs at most, in calm, to note what it has sent. */
const NOTE_MS = 1_000

export function checkResume(index: HistoryIndex): Violation[] {
  const windows = faultWindows(
    index.lines.filter((line) => keepsFromNoting(line)),
    NOTE_MS,
  )
  const violations: Violation[] = index.lost.map(({ client, number, accepted }) => ({
    guarantee: 'G6',
    text: `the session of ${client} was gone at its connection ${number}`,
    at: index.lines[accepted]?.at ?? 0,
    client,
  }))
  for (const life of index.lives) {
    if (index.members.has(life.client)) continue
    violations.push(...changed(index, life, windows))
    if (life.until === Infinity) violations.push(...notRepeated(index, life))
  }
  return inOrder(violations)
}

/** Faults of nodes and of Redis; a client that moves or drops keeps no node from anything. */
const OF_CLUSTER = /^(?:kill|stop|redis|node-redis|fenced)-/

function keepsFromNoting(line: HistoryLine): boolean {
  return line.kind === 'fault' && OF_CLUSTER.test(line.fault)
}

/** The same message again: packet id and DUP. */
function changed(index: HistoryIndex, life: Life, windows: Windows): Violation[] {
  const first = new Map<string, At<Delivery>>()
  const violations: Violation[] = []
  for (const delivery of life.deliveries) {
    const { message: id, qos, retain, packetId, dup, connection, client, at } = delivery
    const message = index.published.get(id)
    if (qos === 0 || retain || message === undefined || !sentOnce(message)) continue
    const before = first.get(id)
    if (before === undefined) {
      first.set(id, delivery)
      continue
    }
    const about = { guarantee: 'G6', at, client, message: id } as const
    const asked = index.connections.get(connection)?.connect.seq ?? 0
    if (packetId !== before.packetId) {
      const text = `${client} got ${id} again with packet id ${packetId}, before ${before.packetId}`
      violations.push({ ...about, text })
    } else if (
      !dup &&
      connection !== before.connection &&
      before.seq < asked &&
      windows.isCalm(before.at, before.at + NOTE_MS)
    )
      violations.push({ ...about, text: `${client} got ${id} again without DUP` })
  }
  return violations
}

/** What was last seen on an earlier connection than the last one, and never acknowledged by an owner. */
function notRepeated(index: HistoryIndex, life: Life): Violation[] {
  const last = life.connections.at(-1)
  if (last === undefined) return []
  const answers = answersOf(index, life)
  const pending = new Map<string, At<Delivery>>()
  const repeated = new Set<string>()
  for (const delivery of life.deliveries) {
    if (delivery.qos === 0 || delivery.retain) continue
    const key = `${delivery.message} ${delivery.packetId}`
    if (delivery.connection === last.number) repeated.add(key)
    else pending.set(key, delivery)
  }
  const violations: Violation[] = []
  for (const [key, { message, client, at }] of pending) {
    const answer = answers.get(key)
    if (repeated.has(key) || answer === 'owner') continue
    violations.push({
      guarantee: answer === 'former' ? 'G3' : 'G6',
      text:
        answer === 'former'
          ? `${client} acknowledged ${message} on a connection that was taken over, and it counted`
          : `${client} never acknowledged ${message}, and did not get it again`,
      at,
      client,
      message,
    })
  }
  return violations
}

/** Whether the owner acknowledged each message and packet id, or only former owners did. */
function answersOf(index: HistoryIndex, life: Life): Map<string, 'owner' | 'former'> {
  const until = new Map(life.connections.map((own) => [own.number, succeededAt(index, own)]))
  const answers = new Map<string, 'owner' | 'former'>()
  for (let seq = life.from; seq < index.lines.length; seq += 1) {
    const line = index.lines[seq]
    if (line?.kind !== 'answer') continue
    const end = until.get(line.connection)
    if (end === undefined) continue
    const key = `${line.message} ${line.packetId}`
    if (seq < end) answers.set(key, 'owner')
    else if (!answers.has(key)) answers.set(key, 'former')
  }
  return answers
}
