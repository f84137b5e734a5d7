/** The command line: what is typed, as a FleetInput and where to put the result. */
import { constants, accessSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command, Option } from 'commander'
import { InputError } from './input-error.ts'
import { DEFAULTS, PATTERNS, type FleetInput, type Pattern } from './options.ts'
import type { FleetMode } from './fleet-mode.ts'
import { parseDurationMs, parseNumber } from './quantity.ts'

/** What was asked for, ready to run. */
export interface Invocation {
  readonly input: FleetInput
  readonly outPath: string | undefined
  readonly json: boolean
}

/** Options as commander returns them: by long name, already parsed. */
interface Typed {
  readonly url: string[]
  readonly devices?: number
  readonly pattern?: Pattern
  readonly connectRate?: number
  readonly rate?: number
  readonly saturate?: boolean
  readonly window?: number
  readonly duration?: number
  readonly warmup?: number
  readonly drain?: number
  readonly connectTimeout?: number
  readonly connectFailures?: number
  readonly keepAlive?: number
  readonly qos?: number
  readonly inflight?: number
  readonly payloadBytes?: number
  readonly topic?: string
  readonly clientId?: string
  readonly username?: string
  readonly password?: string
  readonly passwordFile?: string
  readonly ca?: string
  readonly insecure?: boolean
  readonly tlsGroups?: string
  readonly clean?: boolean
  readonly retain?: boolean
  readonly seed?: number
  readonly slo?: string[]
  readonly lagBound?: number
  readonly watchPid?: number[]
  readonly out?: string
  readonly json?: boolean
}

/** An option whose value is parsed here, so that every refusal of a value reads the same. */
const parsed = <T>(
  flags: string,
  description: string,
  parse: (option: string, text: string, before?: T) => T,
): Option => {
  const [name = ''] = flags.split(' ')
  return new Option(flags, description).argParser((text, before: T | undefined) =>
    parse(name, text, before),
  )
}

const count = (flags: string, description: string): Option =>
  parsed(flags, description, parseNumber)

const time = (flags: string, description: string): Option =>
  parsed(flags, description, parseDurationMs)

const urls = (_: string, text: string, before: string[] = []): string[] => [
  ...before,
  ...text.split(',').map((url) => url.trim()),
]

const texts = (_: string, text: string, before: string[] = []): string[] => [...before, text]

const counts = (option: string, text: string, before: number[] = []): number[] => [
  ...before,
  parseNumber(option, text),
]

const SECONDS = 1000

const addConnectionOptions = (command: Command): Command =>
  command
    .addOption(
      parsed(
        '--url <urls>',
        'mqtts://host:port or mqtt://host:port, taken in turn',
        urls,
      ).makeOptionMandatory(),
    )
    .addOption(count('--devices <n>', `size of the fleet (${DEFAULTS.devices})`))
    .addOption(count('--connect-rate <n>', `new connections/s (${DEFAULTS.connectRate})`))
    .addOption(time('--connect-timeout <time>', 'per device (10s)'))
    .addOption(count('--connect-failures <n>', 'devices that may fail or be lost (0)'))
    .option('--client-id <template>', `{{i}} {{run}} (${DEFAULTS.clientId})`)
    .option('--username <template>', 'may hold {{i}} and {{id}}')
    .addOption(
      new Option('--password <text>', 'visible to other users of this host').conflicts(
        'passwordFile',
      ),
    )
    .option('--password-file <path>', 'the password is the first line of this file')
    .option('--ca <path>', 'PEM file of the authorities to trust')
    .option('--insecure', 'trust any certificate')
    .option('--tls-groups <names>', `key exchange groups (${DEFAULTS.tlsGroups})`)
    .option('--no-clean', 'persistent sessions; they stay at the broker after the run')
    .addOption(count('--keep-alive <seconds>', `0: none (${DEFAULTS.keepAliveS})`))

const addRunOptions = (command: Command): Command =>
  command
    .addOption(time('--duration <time>', `measured interval (${DEFAULTS.durationMs / SECONDS}s)`))
    .addOption(time('--warmup <time>', 'load before the measured interval (0s)'))
    .addOption(count('--seed <n>', `of phases and payloads (${DEFAULTS.seed})`))
    .addOption(parsed('--slo <expression>', 'such as e2e.p99<50ms or loss==0; repeatable', texts))
    .addOption(
      parsed('--watch-pid <pid>', 'process on this host to measure too; repeatable', counts),
    )
    .option('--out <path>', 'write the result as JSON')
    .option('--json', 'result as JSON on stdout, no progress, no summary')

const addPublishOptions = (command: Command): Command =>
  command
    .addOption(count('--rate <n>', 'messages/s of all publishers together (one each)'))
    .option('--saturate', 'as fast as what comes back allows, instead of --rate')
    .addOption(count('--window <n>', `messages outstanding per publisher (${DEFAULTS.window})`))
    .addOption(count('--inflight <n>', `unacknowledged per publisher (${DEFAULTS.inflight})`))
    .addOption(count('--payload-bytes <n>', `(${DEFAULTS.payloadBytes})`))
    .option('--retain', 'publish retained; the messages stay at the broker after the run')
    .addOption(time('--drain <time>', 'patience at the end (5s)'))
    .addOption(time('--lag-bound <time>', `p99 of the generator's lag (${DEFAULTS.lagBoundMs}ms)`))

const addMessageOptions = (command: Command, topic: string): Command =>
  command
    .addOption(count('--qos <0|1|2>', '(0)'))
    .option('--topic <template>', `${topic}: {{i}} {{id}} {{run}} (${DEFAULTS.topic})`)

const readText = (option: string, path: string | undefined): string | undefined => {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'error'
    throw new InputError(`${option}: ${path} cannot be read (${code})`, { cause: error })
  }
}

const checkWritable = (path: string | undefined): void => {
  if (path === undefined) return
  try {
    accessSync(dirname(path), constants.W_OK)
  } catch (error) {
    throw new InputError(`--out: ${path} cannot be written`, { cause: error })
  }
}

const toInvocation = (command: FleetMode, typed: Typed): Invocation => {
  checkWritable(typed.out)
  const passwordFile = readText('--password-file', typed.passwordFile)
  const input: FleetInput = {
    ...typed,
    command,
    urls: typed.url,
    durationMs: typed.duration,
    warmupMs: typed.warmup,
    drainMs: typed.drain,
    connectTimeoutMs: typed.connectTimeout,
    connectFailuresMax: typed.connectFailures,
    keepAliveS: typed.keepAlive,
    password: passwordFile?.split(/\r?\n/, 1)[0] ?? typed.password,
    ca: readText('--ca', typed.ca),
    thresholds: typed.slo,
    lagBoundMs: typed.lagBound,
    watchPids: typed.watchPid,
  }
  return { input, outPath: typed.out, json: typed.json ?? false }
}

/** Builds the command; `run` gets what was typed. */
export const createProgram = (
  version: string,
  run: (invocation: Invocation) => Promise<void>,
): Command => {
  const program = new Command('fleet')
    .description('Load-tests an MQTT broker with a fleet of devices.')
    .version(version)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // main.ts prints it, in one line
    .addHelpText(
      'after',
      `
Exit codes: 0 ok · 1 bad input · 2 could not connect · 3 threshold missed · 4 generator overloaded
            5 lost, duplicate or misordered messages · 130 interrupted (the report is still written)`,
    )
  const add = (name: FleetMode, description: string): Command =>
    addConnectionOptions(program.command(name).description(description)).action((typed: Typed) =>
      run(toInvocation(name, typed)),
    )
  addRunOptions(add('connect', 'connect N devices and hold them'))
  addRunOptions(
    addPublishOptions(addMessageOptions(add('pub', 'N devices publish'), 'of each device')),
  )
  addRunOptions(
    addMessageOptions(add('sub', 'N devices subscribe and check what arrives'), 'filter'),
  )
  const pubsub = add('pubsub', 'publishers, and subscribers that check every message')
  pubsub.addOption(new Option('--pattern <name>', 'who talks to whom (pairs)').choices(PATTERNS))
  addRunOptions(addPublishOptions(addMessageOptions(pubsub, 'of each publisher')))
  return program
}
