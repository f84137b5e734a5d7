/** What a node does with each signal that a terminal, a supervisor or an operator may send it. */
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Authority, setPassword } from '@breakwater/broker'
import { describe, expect, it } from 'vitest'
import { SIGNALS } from '../../packages/broker/src/command/signals.ts'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { spawnNode, type LogLine } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

/** Those that shutdown.test.ts has not. */
const stopping = Object.entries(SIGNALS)
  .filter(([name, what]) => what === 'stop' && name !== 'SIGTERM' && name !== 'SIGINT')
  .map(([name]) => name)
const ignored = Object.entries(SIGNALS).flatMap(([name, what]) =>
  what === 'nothing' ? [name] : [],
)

/** The given number of log lines about the outcome of a reload. */
async function readAgain(
  node: { logs(): readonly LogLine[] },
  count: number,
): Promise<readonly LogLine[]> {
  const lines = (): readonly LogLine[] =>
    node.logs().filter(({ msg }) => msg === 'all files were read again')
  await expect.poll(() => lines().length).toBe(count)
  return lines()
}

describe('a node that gets a signal', () => {
  it.each(stopping)('closes its clients and ends with exit code 0 at %s', async (signal) => {
    await using node = await spawnNode()
    await using client = await connectAt(node)
    await node.kill(signal as NodeJS.Signals)
    expect([node.process.exitCode, node.process.signalCode]).toEqual([0, null])
    expect(await client.untilClosed()).toEqual([])
    expect(node.closeReasons()).toEqual(['shutting-down'])
    expect(node.logs().at(-1)).toMatchObject({ msg: 'node has stopped' })
  })

  it('goes on at signals without a meaning for a node, and opens no debugger', async () => {
    const errors = join(temporaryDirectory('signals-'), 'errors')
    const stderr = openSync(errors, 'w')
    await using node = await spawnNode({ stderr })
    closeSync(stderr)
    await using client = await connectAt(node)
    // Ignored by Node for all programs: a reader of the log that is gone, a file that may not grow.
    for (const signal of [...ignored, 'SIGPIPE', 'SIGXFSZ', 'SIGWINCH', 'SIGCONT'])
      node.process.kill(signal as NodeJS.Signals)
    // SIGHUP comes behind the others and is answered.
    node.process.kill('SIGHUP')
    await readAgain(node, 1)
    await client.expectSilence()
    expect(readFileSync(errors, 'utf8')).not.toMatch(/Debugger/)
    const debuggerPort = connect(9229, '127.0.0.1')
    const [error] = (await once(debuggerPort, 'error')) as [Error & { code: string }]
    expect(error.code).toBe('ECONNREFUSED')
  })
})

describe('SIGHUP', () => {
  it('makes a node read every file again, with one log line for all files', async () => {
    const authority = await Authority.create('devices')
    const server = await authority.issue({
      commonName: 'localhost',
      usage: 'server',
      alternativeNames: ['localhost', '127.0.0.1'],
    })
    const directory = temporaryDirectory('signals-')
    const path = (name: string): string => join(directory, name)
    const rules = "rules:\n  - allow: [publish]\n    topics: ['#']\n"
    writeFileSync(path('server.crt'), server.cert)
    writeFileSync(path('server.key'), server.key)
    writeFileSync(path('ca.crt'), authority.pair.cert)
    writeFileSync(path('crl.pem'), await authority.revoke({ certificates: [] }))
    writeFileSync(path('users'), await setPassword('', 'keeper', 'one'))
    writeFileSync(path('rules'), rules)
    writeFileSync(path('token'), 'the-token-of-the-admin')
    const names = ['server.crt', 'server.key', 'ca.crt', 'crl.pem', 'users', 'rules', 'token']
    await using node = await spawnNode({
      allowAnonymous: true,
      environment: {
        BREAKWATER_TLS_CERT: path('server.crt'),
        BREAKWATER_TLS_KEY: path('server.key'),
        BREAKWATER_TLS_CLIENT_CA: path('ca.crt'),
        BREAKWATER_TLS_CRL: path('crl.pem'),
        BREAKWATER_TLS_CLIENT_AUTH: 'optional',
        BREAKWATER_PASSWORD_FILE: path('users'),
        BREAKWATER_ACL_FILE: path('rules'),
        BREAKWATER_ADMIN_TOKEN_FILE: path('token'),
      },
    })
    node.process.kill('SIGHUP')
    const [first] = await readAgain(node, 1)
    expect(first).toMatchObject({ level: 'info', files: names.length, inUse: [], refused: [] })

    // Its directory is watched, too: whichever sees it first, it is in use behind the line.
    writeFileSync(path('users'), await setPassword('', 'keeper', 'two'))
    writeFileSync(path('rules'), 'rules: 7\n')
    node.process.kill('SIGHUP')
    const [, second] = await readAgain(node, 2)
    expect(second).toMatchObject({ level: 'error', files: names.length })
    expect(second?.['refused']).toEqual([expect.stringContaining(path('rules'))])
    await using client = await connectAt(node, {
      clientId: unique('c'),
      username: 'keeper',
      password: 'two',
    })
    await client.expectSilence()

    // It is told again what is still wrong.
    node.process.kill('SIGHUP')
    const [, , third] = await readAgain(node, 3)
    expect(third).toMatchObject({ level: 'error', inUse: [], refused: second?.['refused'] })
    writeFileSync(path('rules'), rules)
    node.process.kill('SIGHUP')
    const [, , , fourth] = await readAgain(node, 4)
    expect(fourth).toMatchObject({ level: 'info', refused: [] })
  })
})
