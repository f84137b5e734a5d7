/**
 * A node is killed in the middle of its load: every acknowledged message is there, and its clients go on
 * elsewhere. The long form is
 * `BREAKWATER_TEST_NODE_LOSSES=1000 BREAKWATER_TEST_LIMIT_MINUTES=90 npm test -- test/cluster/node-loss`.
 */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { spawnNode } from '../kit/node.ts'
import { startCluster, type Cluster } from './cluster.ts'
import { FaithfulPublisher, FaithfulSubscriber } from './faithful-clients.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'

/** Each kind twice. */
const ROUNDS = Number(process.env['BREAKWATER_TEST_NODE_LOSSES'] ?? 12)
/** Side by side: a round mostly waits. */
const LANES = 4
const ROUND_MS = 15_000
const MESSAGES = 400
/** The node is killed when this number of messages is acknowledged; more are in flight at that moment. */
const KILLED_AT = 150
const WINDOW = 50
/** No node waits long for a dead node: what is tested here begins earlier. */
const LIMITS = { nodeLeaseMs: 3_000, viewLeaseMs: 500 }

interface Round {
  readonly qos: 1 | 2
  /** Whose node is killed; there is always a subscriber at it. */
  readonly victim: 'publisher' | 'subscriber'
  /** `unanswered`: Redis has stored messages, and its answer is on the way. */
  readonly moment: 'any' | 'unanswered'
}

const KINDS: readonly Round[] = [
  { qos: 1, victim: 'publisher', moment: 'any' },
  { qos: 2, victim: 'publisher', moment: 'any' },
  { qos: 1, victim: 'publisher', moment: 'unanswered' },
  { qos: 2, victim: 'publisher', moment: 'unanswered' },
  { qos: 1, victim: 'subscriber', moment: 'any' },
  { qos: 2, victim: 'subscriber', moment: 'any' },
]

it(
  `no acknowledged message is lost when a node is killed, ${ROUNDS} times`,
  { timeout: 30_000 + ROUNDS * ROUND_MS },
  async () => {
    await using cluster = await startCluster({ limits: LIMITS })
    const lane = async (first: number): Promise<void> => {
      for (let round = first; round < ROUNDS; round += LANES)
        await runRound(cluster, round, KINDS[round % KINDS.length] as Round)
    }
    await Promise.all(Array.from({ length: LANES }, (_, first) => lane(first)))
  },
)

async function runRound(cluster: Cluster, round: number, kind: Round): Promise<void> {
  const { a, b, c, redis, settings } = cluster
  const { qos, victim, moment } = kind
  const label = `round ${round}: QoS ${qos}, killed with its ${victim} (${moment})`
  await using proxy = await startRedisProxy(redis.url)
  await using doomed = await spawnNode({ ...settings, redisUrl: proxy.url })
  const topic = unique('t')
  const offlineId = unique('off')
  const sessions = {
    'offline meanwhile': new FaithfulSubscriber(offlineId),
    'connected to the killed node': new FaithfulSubscriber(unique('on')),
    'connected elsewhere': new FaithfulSubscriber(unique('else')),
  }
  const [offline, orphan, elsewhere] = Object.values(sessions) as [
    FaithfulSubscriber,
    FaithfulSubscriber,
    FaithfulSubscriber,
  ]
  await Promise.all([
    offline.subscribe(doomed, topic, qos),
    orphan.subscribe(doomed, topic, qos),
    elsewhere.subscribe(b, topic, qos),
  ])

  const operator = new Redis(redis.url)
  const queue = keysWith(redis.prefix).queue(offlineId)
  let killing: Promise<void> | undefined
  const kill = async (): Promise<void> => {
    if (moment === 'unanswered') {
      proxy.silence()
      const isStored = await expect
        .poll(() => operator.xlen(queue), { interval: 5, timeout: 200 })
        .toBeGreaterThan(publisher.acknowledged.length)
        .then(
          () => true,
          () => false,
        )
      if (!isStored) {
        // What waits for its answer was no fan-out: the next acknowledgement is another chance.
        await proxy.restore()
        killing = undefined
        return
      }
    }
    await doomed.kill('SIGKILL')
  }
  const publisher = new FaithfulPublisher({
    clientId: unique('pub'),
    topic,
    qos,
    count: MESSAGES,
    window: WINDOW,
    onAcknowledged: (count) => {
      if (count >= KILLED_AT && count < MESSAGES) killing ??= kill()
    },
  })
  const publish = async (): Promise<boolean[]> =>
    victim === 'publisher'
      ? [await publisher.run(doomed), await publisher.run(a)]
      : [await publisher.run(a)]
  const move = async (): Promise<boolean[]> => [await orphan.run(doomed), await orphan.run(c)]
  const [published, ...read] = await Promise.all([publish(), move(), elsewhere.run(b)])
  await killing
  operator.disconnect()
  expect(published, label).toEqual(victim === 'publisher' ? [false, true] : [true])
  expect(read, label).toEqual([[false, true], true])
  expect(await offline.run(b), label).toBe(true)

  const all = Array.from({ length: MESSAGES }, (_, index) => `${index}`)
  expect(new Set(publisher.acknowledged).size, label).toBe(MESSAGES + 1)
  for (const [who, { received }] of Object.entries(sessions)) {
    const seen = new Set(received)
    expect(
      all.filter((payload) => !seen.has(payload)),
      `${label}, lost by the session that was ${who}`,
    ).toEqual([])
    if (qos === 2)
      expect(
        received.filter((payload, index) => received.indexOf(payload) !== index),
        `${label}, twice at the session that was ${who}`,
      ).toEqual([])
  }
}
