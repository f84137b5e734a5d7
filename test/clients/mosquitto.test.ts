/** mosquitto_pub and mosquitto_sub over TLS with the development CA, at three nodes. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority } from '@breakwater/broker'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCluster, type Cluster } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import type { TestNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { startProgram, type ProgramEnd, type ProgramRun } from './program-run.ts'

const [user, password] = ['keeper', 'of: the light']

let cluster: Cluster
let programs: Readonly<Record<'publish' | 'subscribe' | 'stdbuf', string>>
beforeAll(async () => {
  cluster = await startCluster({ users: { [user]: password }, allowAnonymous: true })
})
afterAll(() => cluster[Symbol.asyncDispose]())
beforeEach((context) => {
  const names = ['mosquitto_pub', 'mosquitto_sub', 'stdbuf'] as const
  const [publish, subscribe, stdbuf] = skipWithout(context, ...names)
  programs = { publish, subscribe, stdbuf }
})

function at(node: TestNode, ...args: readonly string[]): string[] {
  const to = ['-h', 'localhost', '-p', `${node.tlsPort}`]
  return args.includes('--cafile') ? [...to, ...args] : ['--cafile', node.caPath, ...to, ...args]
}

/** A subscriber whose SUBACK has come. */
async function subscribe(node: TestNode, ...args: readonly string[]): Promise<ProgramRun> {
  // Into a pipe it would say nothing until it ends.
  const unbuffered = [programs.stdbuf, '-oL', programs.subscribe] as const
  const run = startProgram(unbuffered, at(node, '-d', '-F', '%q %r %t %p', ...args))
  await run.said('Subscribed (mid')
  return run
}

function publish(node: TestNode, ...args: readonly string[]): Promise<ProgramEnd> {
  return startProgram([programs.publish], at(node, ...args)).ended
}

describe('mosquitto_pub at one node, mosquitto_sub at another', () => {
  it.each(['0', '1', '2'])('exchange a message with QoS %s', async (qos) => {
    const topic = unique('t')
    await using subscriber = await subscribe(cluster.b, '-t', `${topic}/+`, '-q', qos, '-C', '1')
    const end = await publish(cluster.a, '-t', `${topic}/x`, '-m', 'calm water', '-q', qos)
    expect(end).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await subscriber.said(topic + '/x calm')).toBe(`${qos} 0 ${topic}/x calm water`)
    expect((await subscriber.ended).code).toBe(0)
  })

  it('exchange a retained message, which can be removed again', async () => {
    const topic = unique('t')
    await publish(cluster.a, '-t', topic, '-m', 'kept', '-q', '1', '-r')
    await using subscriber = await subscribe(cluster.c, '-t', topic, '-C', '1')
    expect(await subscriber.said('kept')).toBe(`0 1 ${topic} kept`)
    await publish(cluster.b, '-t', topic, '-n', '-q', '1', '-r')
    const sentinel = unique('t')
    await publish(cluster.b, '-t', sentinel, '-m', 'sentinel', '-q', '1', '-r')
    // Retained messages come in the order of the filters: the first one would be of the removed.
    await using again = await subscribe(cluster.c, '-t', topic, '-t', sentinel, '-C', '1')
    expect(await again.said(' 1 ')).toBe(`0 1 ${sentinel} sentinel`)
  })

  it('deliver missed messages to a session that resumes at a third node', async () => {
    const topic = unique('t')
    const session = ['-i', unique('c'), '-c', '-q', '1', '-t', topic]
    await using first = await subscribe(cluster.a, ...session, '-E')
    expect((await first.ended).code).toBe(0)
    for (const message of ['one', 'two', 'three'])
      await publish(cluster.b, '-t', topic, '-m', message, '-q', '1')
    await using resumed = startProgram(
      [programs.subscribe],
      at(cluster.c, ...session, '-F', '%p', '-C', '3'),
    )
    expect(await resumed.ended).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree' })
  })

  it('deliver the will of a client that was killed', async () => {
    const topic = unique('t')
    await using watcher = await subscribe(cluster.c, '-t', topic, '-q', '1', '-C', '1')
    const will = ['--will-topic', topic, '--will-payload', 'went down', '--will-qos', '1']
    await using victim = await subscribe(cluster.a, '-t', unique('t'), ...will)
    victim.kill()
    expect(await watcher.said('went down')).toBe(`1 0 ${topic} went down`)
  })
})

describe('a mosquitto client', () => {
  it('with the right password is served, and with a wrong password gets an error message', async () => {
    const message = ['-t', unique('t'), '-m', 'x', '-q', '1', '-u', user]
    expect(await publish(cluster.a, ...message, '-P', password)).toMatchObject({ code: 0 })
    const end = await publish(cluster.a, ...message, '-P', 'wrong')
    expect(end.code).not.toBe(0)
    expect(end.stderr).toMatch(/bad user name or password/i)
    await cluster.a.logged(({ reason }) => reason === 'bad-credentials')
  })

  it('with another CA refuses the node, which logs handshake-failed', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'breakwater-other-ca-'))
    const cafile = join(folder.path, 'ca.crt')
    await writeFile(cafile, (await Authority.create('Somebody else')).pair.cert)
    const end = await publish(cluster.b, '--cafile', cafile, '-t', 'x', '-m', 'x')
    expect(end.code).not.toBe(0)
    const line = await cluster.b.logged(({ reason }) => reason === 'handshake-failed')
    expect(line).toMatchObject({ msg: 'connection closed', listener: 'mqtts' })
    expect(line['detail']).toMatch(/UNKNOWN_CA/)
  })

  it('that speaks MQTT 5 is told that the protocol version is not supported', async () => {
    const end = await publish(cluster.c, '-V', '5', '-t', 'x', '-m', 'x')
    expect(end.code).not.toBe(0)
    await cluster.c.logged(({ reason }) => reason === 'unsupported-protocol-version')
  })

  it('that speaks MQTT 3.1 is served', async () => {
    const topic = unique('t')
    await using subscriber = await subscribe(cluster.b, '-V', '31', '-t', topic, '-C', '1')
    expect(await publish(cluster.a, '-V', '31', '-t', topic, '-m', 'old')).toMatchObject({
      code: 0,
    })
    expect(await subscriber.said('old')).toBe(`0 0 ${topic} old`)
  })
})
