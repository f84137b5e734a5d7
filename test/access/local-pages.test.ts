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
  ['a program, without an origin', undefined, 'open'],
  ['a page of localhost', 'http://localhost:5173', 'open'],
  ['a page of 127.0.0.1', 'https://127.0.0.1', 'open'],
  ['a page of the Internet', 'https://evil.example', 'Unexpected server response: 403'],
  [
    'a page of a host whose name begins like localhost',
    'https://localhost.evil.example',
    'Unexpected server response: 403',
  ],
  ['a file or a sandboxed frame', 'null', 'Unexpected server response: 403'],
])(
  'a WebSocket listener that allows anonymous clients of this machine answers a request from %s',
  async (_what, origin, answer) => {
    await using node = await startNode({ listen: ['ws://127.0.0.1:0?anonymous=true'] })
    expect(await answerTo(node, origin)).toBe(answer)
  },
)

test('a WebSocket listener with origin= accepts pages of that origin, and refuses pages of this machine', async () => {
  const listen = ['ws://127.0.0.1:0?anonymous=true&origin=https://fleet.example']
  await using node = await startNode({ listen })
  expect(await answerTo(node, 'https://fleet.example')).toBe('open')
  expect(await answerTo(node, 'http://localhost')).toBe('Unexpected server response: 403')
})
