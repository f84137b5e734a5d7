/**
 * Every command that a Redis server executes, as its MONITOR tells it. Read from a socket of its own: a client
 * library that expects one answer per command trips over what the server says in the same packet as its OK.
 */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export interface MonitoredCommand {
  readonly words: readonly string[]
  /** Called by a script. */
  readonly isOfScript: boolean
  /** Address of the client, or `lua`. */
  readonly source: string
}

const LINE = /^\+\d+\.\d+ \[\d+ ([^\]]+)\] (.*)$/
const WORD = /"((?:[^"\\]|\\.)*)"/g
const ESCAPE = /\\(?:x([0-9a-f]{2})|(.))/g
const CONTROLS: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  a: '\u0007',
  b: '\b',
}

/** Resolves when the server tells everything from now on. @throws {Error} it does not */
export async function monitorRedis(
  url: string,
  onCommand: (command: MonitoredCommand) => void,
): Promise<Disposable> {
  const { hostname, port, password, username } = new URL(url)
  const socket = createConnection({ host: hostname, port: Number(port || 6_379) })
  await once(socket, 'connect')
  const user = username === '' ? 'default' : decodeURIComponent(username)
  const login = password === '' ? [] : [['AUTH', user, decodeURIComponent(password)]]
  const told = tellLines(socket, login.length + 1, (line) => {
    const [, source = '', words = ''] = LINE.exec(line) ?? []
    onCommand({ words: wordsIn(words), isOfScript: source === 'lua', source })
  })
  for (const words of [...login, ['MONITOR']]) socket.write(requestOf(words))
  await told
  return { [Symbol.dispose]: () => socket.destroy() }
}

/** Resolves when this number of lines said OK; later lines are reported. */
function tellLines(socket: Socket, replies: number, tell: (line: string) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let open = replies
  socket.once('error', reject)
  // What a server says of binary keys is escaped: each line is ASCII.
  createInterface({ input: socket }).on('line', (line) => {
    if (open === 0) tell(line)
    else if (line === '+OK') {
      open -= 1
      if (open === 0) resolve()
    } else reject(new Error(`MONITOR: ${line}`))
  })
  return promise
}

function requestOf(words: readonly string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  return `*${words.length}\r\n${parts.join('')}`
}

function wordsIn(text: string): string[] {
  return [...text.matchAll(WORD)].map(([, word = '']) =>
    word.replaceAll(ESCAPE, (_, code: string | undefined, letter: string) =>
      code === undefined
        ? (CONTROLS[letter] ?? letter)
        : String.fromCharCode(Number.parseInt(code, 16)),
    ),
  )
}
