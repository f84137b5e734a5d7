/** A node in this process from the moment at which its admin server answers: it may be waiting for Redis. */
import { startNode } from '@breakwater/broker'
import { decideConfig, readSettings } from '@breakwater/config'
import { pino } from 'pino'
import { LogTail, type LogLine } from './node.ts'

export interface WaitingNode extends AsyncDisposable {
  /** URL of its admin server. */
  readonly admin: string
  readonly lines: readonly LogLine[]
  /** Resolves when it serves, with its port. */
  readonly ready: Promise<{ readonly port: number }>
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>
  end(): Promise<void>
}

export interface WaitingNodeOptions {
  readonly redisUrl: string
  readonly environment?: Readonly<Record<string, string>>
}

/** @throws {Error} the start has ended before */
export async function startWaitingNode({
  redisUrl,
  environment = {},
}: WaitingNodeOptions): Promise<WaitingNode> {
  const log = new LogTail()
  const stop = new AbortController()
  const started = startNode({
    config: decideConfig(
      readSettings({
        BREAKWATER_LISTEN: 'mqtt://127.0.0.1:0',
        BREAKWATER_ADMIN: 'http://127.0.0.1:0',
        BREAKWATER_ALLOW_ANONYMOUS: 'true',
        BREAKWATER_SHUTDOWN_TIMEOUT: '5s',
        BREAKWATER_REDIS_URL: redisUrl,
        ...environment,
      }),
    ),
    logger: pino({ base: null }, log.stream()),
    signal: stop.signal,
  })
  started.catch(() => undefined)
  const { logged, logs } = log.views()
  const up = logged(({ msg }) => msg === 'admin server is up')
  const { admin } = await Promise.race([up, started.then(() => up)])
  const ready = started.then(({ listeners }) => ({ port: listeners[0]?.port ?? 0 }))
  ready.catch(() => undefined)
  const end = async (): Promise<void> => {
    stop.abort()
    const node = await started.catch(() => undefined)
    await node?.[Symbol.asyncDispose]()
  }
  return {
    admin: String(admin),
    lines: logs(),
    ready,
    logged,
    end,
    [Symbol.asyncDispose]: end,
  }
}
