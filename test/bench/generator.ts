/** The handle on the generator's process. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FleetInput, FleetResult } from '@breakwater/simulator'
import type { GeneratorReply, GeneratorRequest } from './generator-process.ts'

const PROGRAM = fileURLToPath(new URL('./generator-process.ts', import.meta.url))

export interface LoadResult {
  readonly result: FleetResult
  /** CPU time of everything on this machine in the measured interval. */
  readonly hostBusyMs: number
}

export interface Generator extends AsyncDisposable {
  readonly pid: number
  run(input: FleetInput): Promise<LoadResult>
  /** Resolves when the whole fleet is connected; it stays until `release`. */
  hold(input: FleetInput): Promise<void>
  release(): Promise<void>
}

export async function startGenerator(): Promise<Generator> {
  const child = fork(PROGRAM, { execArgv: ['--conditions=source'] })
  await once(child, 'spawn')

  async function ask(request: GeneratorRequest): Promise<GeneratorReply> {
    const over = new AbortController()
    const { signal } = over
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`the generator ended with ${code}`)
    })
    const answered = once(child, 'message', { signal }) as Promise<[GeneratorReply]>
    child.send(request)
    try {
      const [reply] = await Promise.race([answered, ended])
      if (reply.kind === 'failed') throw new Error(reply.message)
      return reply
    } finally {
      over.abort()
      await Promise.allSettled([answered, ended])
    }
  }

  return {
    pid: child.pid as number,
    async run(input) {
      const reply = await ask({ kind: 'run', input })
      if (reply.kind !== 'result') throw new Error('the generator sent no result')
      return reply
    },
    async hold(input) {
      await ask({ kind: 'hold', input })
    },
    async release() {
      await ask({ kind: 'release' })
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      // It ends when its channel does; so it does too if this process is gone.
      child.disconnect()
      await exited
    },
  }
}
