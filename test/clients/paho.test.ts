/**
 * Eclipse Paho C over WebSocket. It waits for the next message while it still has packets of the last one, so
 * packets that share a message reach it late or never.
 */
import { afterAll, beforeAll, describe, it } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { startProgram } from './program-run.ts'

const MESSAGES = 40

let node: TestNode
beforeAll(async () => {
  node = await startNode({
    listen: ['mqtt://127.0.0.1:0', 'ws://127.0.0.1:0', 'wss://127.0.0.1:0'],
  })
})
afterAll(() => node[Symbol.asyncDispose]())

describe.each(['paho_c_sub', 'paho_cs_sub'] as const)('%s', (name) => {
  it.for([
    ['ws', 1],
    ['wss', 2],
  ] as const)(
    'receives every retained message over %s, also those sent in one write',
    async ([scheme, listener], context) => {
      const [program, stdbuf] = skipWithout(context, name, 'stdbuf')
      const topic = unique('t')
      await using publisher = await connectAt(node)
      const publishAll = async (words: string, retain: boolean): Promise<void> => {
        for (let at = 0; at < MESSAGES; at += 1)
          await publisher.publish({
            topic: `${topic}/${at}`,
            payload: `${words}-${at}.`,
            qos: 1,
            retain,
          })
      }
      await publishAll('retained', true)
      const to = `${scheme}://localhost:${node.ports[listener]}/mqtt`
      const args = [
        '-c',
        to,
        '-t',
        `${topic}/#`,
        '-q',
        '1',
        '-i',
        unique('c'),
        '--cafile',
        node.caPath,
      ]
      // Its output waits in a buffer otherwise.
      await using subscriber = startProgram([stdbuf], ['-oL', program, ...args])
      await subscriber.said(`retained-${MESSAGES - 1}.`)
      await publishAll('live', false)
      await subscriber.said(`live-${MESSAGES - 1}.`)
    },
  )
})
