/**
 * `breakwater import`: takes what an aedes broker has in a Redis over into the store that the configuration names.
 * In: options of the command line. Out: the report; progress on standard error. No node runs meanwhile (ImportHold).
 */
import { ImportHold, IMPORT_NODE } from '@breakwater/cluster'
import {
  ConfigError,
  parseRedisAddress,
  readNamedFile,
  readSecretFile,
  redisFileFault,
  type Config,
} from '@breakwater/config'
import {
  keysWith,
  openPlace,
  readFacts,
  unfitReason,
  type RedisSettings,
  type Servers,
} from '@breakwater/redis'
import { AedesDeployment, RedisImport } from '@breakwater/store'
import { redisSettings } from '../backplane/redis-settings.ts'
import { showProgress } from './import-progress.ts'
import { ImportReport } from './import-report.ts'
import { ImportRun } from './import-run.ts'

export interface ImportOptions {
  readonly from: string
  readonly fromPrefix?: string
  readonly fromPasswordFile?: string
  readonly fromCa?: string
  readonly userIsClientId?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

const COMMAND_TIMEOUT_MS = 15_000

/** @throws {ConfigError} one line: what stands in the way, or what has ended it in the middle */
export async function runImport(config: Config, options: ImportOptions): Promise<string> {
  const { dryRun = false } = options
  if (config.redis === undefined)
    throw new ConfigError('import: no Redis to import into; set BREAKWATER_REDIS_URL')
  const settings = redisSettings(config.redis)
  const report = new ImportReport(dryRun)
  try {
    using source = new AedesDeployment(sourceSettings(options))
    await source.connect().catch((error: Error) => {
      throw new Error(`--from: ${error.message}`, { cause: error })
    })
    await using target = await openTarget(settings)
    const keys = keysWith(settings.prefix)
    await using hold = dryRun ? undefined : await ImportHold.take(target.servers, keys)
    const run = new ImportRun({
      source,
      target: new RedisImport(target.servers, keys),
      leftBehindBy: IMPORT_NODE,
      config,
      report,
      dryRun,
      userIsClientId: options.userIsClientId === true,
      check: () => hold?.check(),
    })
    using _shown = showProgress(process.stderr, report, await source.count())
    await run.all()
  } catch (error) {
    if (!isExpected(error as Error)) throw error
    throw new ConfigError(`import: ${(error as Error).message}`, { cause: error })
  }
  return options.json === true ? JSON.stringify(report.facts()) : report.lines().join('\n')
}

function sourceSettings(options: ImportOptions): RedisSettings {
  const { from, fromPrefix = '', fromPasswordFile, fromCa } = options
  if (parseRedisAddress(from).cluster)
    throw new ConfigError('--from: what aedes has on a Redis Cluster cannot be read')
  const unused = fromCa === undefined ? undefined : redisFileFault(from, 'tls')
  if (unused !== undefined) throw new ConfigError(`--from-ca: ${unused}`)
  const twice = fromPasswordFile === undefined ? undefined : redisFileFault(from, 'password')
  if (twice !== undefined) throw new ConfigError(`--from-password-file: ${twice}`)
  const password =
    fromPasswordFile === undefined
      ? undefined
      : readSecretFile('--from-password-file', fromPasswordFile)
  const ca = fromCa === undefined ? undefined : readNamedFile('--from-ca', fromCa)
  return { url: from, password, ca, prefix: fromPrefix }
}

async function openTarget(
  settings: RedisSettings,
): Promise<AsyncDisposable & { readonly servers: Servers }> {
  await using stack = new AsyncDisposableStack()
  try {
    const place = stack.use(await openPlace(settings))
    const servers = stack.use(await place.servers('control', { timeoutMs: COMMAND_TIMEOUT_MS }))
    // Who waits for an answer hears of it.
    servers.onFault(() => undefined)
    for (const redis of servers.all) {
      const reason = unfitReason(await readFacts(redis), servers.clustered)
      if (reason !== undefined) throw new Error(reason)
    }
    const connections = stack.move()
    return { servers, [Symbol.asyncDispose]: () => connections.disposeAsync() }
  } catch (error) {
    throw new Error(`BREAKWATER_REDIS_URL: ${(error as Error).message}`, { cause: error })
  }
}

/** What Redis, or the look at it, has said; anything else is a defect. */
function isExpected(error: Error): boolean {
  return !(error instanceof ConfigError) && !(error instanceof TypeError)
}
