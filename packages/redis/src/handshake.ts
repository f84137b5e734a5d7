/**
 * What a new connection is asked before anybody uses it. The client library sends AUTH and SELECT too, and goes
 * on where the server refuses them: with the rights of another user, or in database 0.
 *
 * In: an open stream. Out: what the server says of itself, once it has taken user, password and database and is
 * ready for commands; else the first thing that it refused. Bound: `timeoutMs`, and ANSWER_BYTES_MAX.
 */
import type { Socket } from 'node:net'

export interface Handshake {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** What the server lists the connection as (CLIENT LIST). */
  readonly connectionName: string
  /** A replica is refused: it takes no writes. */
  readonly master: boolean
  readonly timeoutMs: number
}

/** Of INFO: more than ten times what a server says. */
const ANSWER_BYTES_MAX = 262_144

/** A name in the place of a reply's code, for errors that are no server's. */
export function replyError(text: string): Error {
  const error = new Error(text)
  error.name = 'ReplyError'
  return error
}

/** @throws {Error} the server's refusal, or why there was no answer */
export async function shakeHands(stream: Socket, handshake: Handshake): Promise<void> {
  const { username, password, database, connectionName, master, timeoutMs } = handshake
  const commands: string[][] = []
  // A user that the server lets in without a password is asked for one all the same.
  if (password !== undefined || username !== undefined)
    commands.push(['AUTH', ...(username === undefined ? [] : [username]), password ?? ''])
  if (database !== 0) commands.push(['SELECT', `${database}`])
  commands.push(['INFO'], ['CLIENT', 'SETNAME', connectionName])
  const replies = await exchange(stream, commands, timeoutMs)
  // A user with few rights may not name its connection.
  const asked = replies.slice(0, commands.length - 1)
  for (const [index, reply] of asked.entries())
    if (reply instanceof Error) throw refusalOf(commands[index] as string[], reply)
  const info = String(asked.at(-1))
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  if (field('loading') === '1') throw replyError('LOADING Redis is loading its data from disk')
  if (master && field('role') === 'slave')
    throw replyError('READONLY the server is a replica: it takes no writes')
}

function refusalOf([command, ...words]: readonly string[], { message }: Error): Error {
  if (command !== 'SELECT') return replyError(message)
  return replyError(`SELECT ${words[0]}: ${message}`)
}

type Reply = string | Error

/** One reply per command, as many as there are until the first refusal. */
async function exchange(
  stream: Socket,
  commands: readonly (readonly string[])[],
  timeoutMs: number,
): Promise<readonly Reply[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Reply[]>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  let bytes = Buffer.alloc(0)
  const onData = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk])
    const replies = repliesIn(bytes)
    if (replies === undefined || bytes.length > ANSWER_BYTES_MAX)
      reject(new Error('the server that answers is not Redis'))
    else if (replies.length >= commands.length || replies.some((reply) => reply instanceof Error))
      resolve(replies)
  }
  const onClose = (): void =>
    reject(Object.assign(new Error('closed without an answer'), { code: 'ECONNRESET' }))
  stream.on('data', onData)
  stream.on('error', reject)
  stream.on('close', onClose)
  stream.on('end', onClose)
  try {
    stream.write(commands.map(encode).join(''))
    return await promise
  } finally {
    clearTimeout(timer)
    stream.off('data', onData)
    stream.off('error', reject)
    stream.off('close', onClose)
    stream.off('end', onClose)
  }
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}

const COLON = ':'.charCodeAt(0)
const DOLLAR = '$'.charCodeAt(0)
const EQUALS = '='.charCodeAt(0)
const MINUS = '-'.charCodeAt(0)
const PLUS = '+'.charCodeAt(0)

/** Those that are there as a whole; undefined: it is no answer of Redis. */
function repliesIn(bytes: Buffer): readonly Reply[] | undefined {
  const replies: Reply[] = []
  for (let start = 0; start < bytes.length;) {
    const type = bytes[start]
    const end = bytes.indexOf('\r\n', start)
    if (type !== PLUS && type !== MINUS && type !== COLON && type !== DOLLAR && type !== EQUALS)
      return undefined
    if (end < 0) break
    const line = bytes.toString('utf8', start + 1, end)
    start = end + 2
    if (type === MINUS) replies.push(new Error(line))
    else if (type === PLUS || type === COLON) replies.push(line)
    else {
      const length = Number(line)
      if (start + length + 2 > bytes.length) break
      replies.push(bytes.toString('utf8', start, start + length))
      start += length + 2
    }
  }
  return replies
}
