/** A WebSocket listener that lets clients of this machine in without credentials, and the pages in its browser. */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startNode, type TestNode } from '../kit/node.ts'

async function answerTo(node: TestNode, origin: string | undefined): Promise<string> {
  const url = `ws://127.0.0.1:${node.ports[0]}/mqtt`
  const socket = new WebSocket(url, 'mqtt', origin === undefined ? {} : { origin })
  try {
    await once(socket, 'open')
    return 'open'
  } catch (error) {
    return (error as Error).message
  } finally {
    socket.terminate()
  }
}

test.each([
  ['no origin, as programs send it', undefined, 'open'],
  ['a page of localhost', 'http://localhost:5173', 'open'],
  ['a page of 127.0.0.1', 'https://127.0.0.1', 'open'],
  ['a page of the Internet', 'https://evil.example', 'Unexpected server response: 403'],
  [
    'a host that begins like one of this machine',
    'https://localhost.evil.example',
    'Unexpected server response: 403',
  ],
  ['a file or a sandboxed frame', 'null', 'Unexpected server response: 403'],
])('%s, where anonymous clients are let in from this machine', async (_what, origin, answer) => {
  await using node = await startNode({ listen: ['ws://127.0.0.1:0?anonymous=true'] })
  expect(await answerTo(node, origin)).toBe(answer)
})

test('pages of the Internet that origin= names are let in, and then no others of this machine', async () => {
  const listen = ['ws://127.0.0.1:0?anonymous=true&origin=https://fleet.example']
  await using node = await startNode({ listen })
  expect(await answerTo(node, 'https://fleet.example')).toBe('open')
  expect(await answerTo(node, 'http://localhost')).toBe('Unexpected server response: 403')
})
