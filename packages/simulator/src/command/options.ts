/**
 * What a run is asked to do: what the caller may leave out, what it means then, and what cannot
 * be. Every refusal is an InputError of one line that names the option as it is typed.
 */
import type { FleetMode } from './fleet-mode.ts'
import { InputError } from './input-error.ts'
import { PAYLOAD_HEADER_BYTES } from '../device/payload.ts'
import { checkTemplate, isPerDevice } from './template.ts'
import { parseThresholds, type Threshold } from './threshold.ts'
import type { Qos } from '../wire/packet.ts'

export const PATTERNS = ['pairs', 'self', 'fan-in', 'fan-out'] as const
export type Pattern = (typeof PATTERNS)[number]

/** A run as a caller describes it; everything but `command` and `urls` has a default. */
export interface FleetInput {
  readonly command: FleetMode
  /** `mqtt://host:port` or `mqtts://host:port`; devices take them in turn. */
  readonly urls: readonly string[]
  /** Size of the fleet: see scenario/ for who connects in each pattern. */
  readonly devices?: number | undefined
  readonly pattern?: Pattern | undefined
  /** New connections per second. */
  readonly connectRate?: number | undefined
  /** Messages per second of all publishers together; default one per publisher. */
  readonly rate?: number | undefined
  /** Drive by deliveries instead of by the clock: as fast as `window` allows. */
  readonly saturate?: boolean | undefined
  /** Messages outstanding per publisher with `saturate`. */
  readonly window?: number | undefined
  readonly durationMs?: number | undefined
  /** Part of the load that comes before the measured interval. */
  readonly warmupMs?: number | undefined
  /** How long to wait without progress for what is still under way at the end. */
  readonly drainMs?: number | undefined
  readonly connectTimeoutMs?: number | undefined
  /** Devices that may fail to connect or be disconnected before the run counts as failed. */
  readonly connectFailuresMax?: number | undefined
  readonly keepAliveS?: number | undefined
  readonly qos?: number | undefined
  /** Unacknowledged messages per publisher, QoS 1 and 2. */
  readonly inflight?: number | undefined
  readonly payloadBytes?: number | undefined
  readonly topic?: string | undefined
  readonly clientId?: string | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM text of the certificate authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  readonly insecure?: boolean | undefined
  readonly tlsGroups?: string | undefined
  readonly clean?: boolean | undefined
  readonly retain?: boolean | undefined
  readonly seed?: number | undefined
  /** Default: random, so that two runs never take each other's messages. */
  readonly runId?: number | undefined
  /** Expressions such as `e2e.p99<50ms`. */
  readonly thresholds?: readonly string[] | undefined
  /** The generator may be this late at p99 before its numbers are called not valid. */
  readonly lagBoundMs?: number | undefined
  /** Process ids on this host whose CPU time and memory are read at the same moments. */
  readonly watchPids?: readonly number[] | undefined
}

export interface Endpoint {
  readonly url: string
  readonly secure: boolean
  readonly host: string
  readonly port: number
}

/** A run with every default filled in and every contradiction refused. */
export interface FleetOptions {
  readonly command: FleetMode
  readonly endpoints: readonly Endpoint[]
  readonly devices: number
  readonly pattern: Pattern
  readonly connectRate: number
  readonly rate: number | undefined
  readonly saturate: boolean
  readonly window: number
  readonly durationMs: number
  readonly warmupMs: number
  readonly drainMs: number
  readonly connectTimeoutMs: number
  readonly connectFailuresMax: number
  readonly keepAliveS: number
  readonly qos: Qos
  readonly inflight: number
  readonly payloadBytes: number
  readonly topic: string
  readonly clientId: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly ca: string | undefined
  readonly insecure: boolean
  readonly tlsGroups: string
  readonly clean: boolean
  readonly retain: boolean
  readonly seed: number
  readonly runId: number
  readonly thresholds: readonly Threshold[]
  readonly lagBoundMs: number
  readonly watchPids: readonly number[]
}

export const DEFAULTS = {
  devices: 10,
  pattern: 'pairs',
  connectRate: 200,
  window: 64,
  durationMs: 10_000,
  drainMs: 5000,
  connectTimeoutMs: 10_000,
  keepAliveS: 60,
  inflight: 256,
  payloadBytes: 64,
  topic: 'fleet/{{run}}/{{i}}',
  clientId: 'fleet-{{run}}-{{i}}',
  tlsGroups: 'X25519',
  seed: 42,
  lagBoundMs: 5,
} as const

const PORTS: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883 }

const parseEndpoint = (text: string): Endpoint => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const port = url === undefined ? undefined : PORTS[url.protocol]
  if (url === undefined || port === undefined || url.hostname === '') {
    throw new InputError(
      `--url: "${text}" is not of the form mqtts://host:port or mqtt://host:port`,
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new InputError('--url: no credentials here; use --username and --password-file')
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return {
    url: `${url.protocol}//${url.hostname}:${url.port || port}`,
    secure: url.protocol === 'mqtts:',
    host,
    port: Number(url.port || port),
  }
}

const within = (option: string, value: number, min: number, max: number): number => {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new InputError(`${option}: ${value} is not a whole number from ${min} to ${max}`)
}

const positive = (option: string, value: number): number => {
  if (Number.isFinite(value) && value > 0) return value
  throw new InputError(`${option}: ${value} is not above 0`)
}

const notNegative = (option: string, value: number): number => {
  if (Number.isFinite(value) && value >= 0) return value
  throw new InputError(`${option}: ${value} is below 0`)
}

const PAYLOAD_BYTES_MAX = 1024 * 1024
const DEVICES_MAX = 1_000_000

const checkNames = (options: FleetOptions): void => {
  checkTemplate('--client-id', options.clientId, ['i', 'run'])
  if (options.devices > 1 && !isPerDevice(options.clientId)) {
    throw new InputError('--client-id: without {{i}} the devices would take over one another')
  }
  checkTemplate('--topic', options.topic)
  if (options.topic === '') throw new InputError('--topic: is empty')
  if (options.command !== 'sub' && /[+#]/.test(options.topic)) {
    throw new InputError(`--topic: "${options.topic}" is published to, so + and # cannot be in it`)
  }
  if (options.username !== undefined) checkTemplate('--username', options.username)
  if (options.password !== undefined && options.username === undefined) {
    throw new InputError('--password: MQTT 3.1.1 needs a --username with it')
  }
}

const checkPattern = (options: FleetOptions): void => {
  const { command, pattern, devices, topic } = options
  if (command !== 'pubsub') return
  if (pattern === 'pairs' && devices % 2 === 1) {
    throw new InputError(`--devices: ${devices} cannot be split into pairs`)
  }
  const publishers = pattern === 'pairs' ? devices / 2 : devices
  if ((pattern === 'pairs' || pattern === 'self') && publishers > 1 && !isPerDevice(topic)) {
    throw new InputError(`--topic: without {{i}} every subscriber of --pattern ${pattern} gets all`)
  }
}

const checkDrive = (input: FleetInput): void => {
  const publishes = input.command === 'pub' || input.command === 'pubsub'
  if (!publishes && (input.rate !== undefined || input.saturate === true)) {
    throw new InputError(`--rate and --saturate: ${input.command} does not publish`)
  }
  if (input.rate !== undefined && input.saturate === true) {
    throw new InputError(
      '--rate and --saturate: a run follows the clock or the deliveries, not both',
    )
  }
  if (input.command !== 'pubsub' && input.pattern !== undefined) {
    throw new InputError(`--pattern: an option of pubsub, not of ${input.command}`)
  }
}

/** Fills in the defaults and refuses, with one line, what cannot be run. */
export const resolveOptions = (input: FleetInput): FleetOptions => {
  if (input.urls.length === 0) throw new InputError('--url: none given')
  checkDrive(input)
  const devices = within('--devices', input.devices ?? DEFAULTS.devices, 1, DEVICES_MAX)
  const window = within('--window', input.window ?? DEFAULTS.window, 1, 30_000)
  const inflight = within('--inflight', input.inflight ?? DEFAULTS.inflight, 1, 65_535)
  const pattern = input.pattern ?? DEFAULTS.pattern
  const saturate = input.saturate ?? false
  const payloadBytes = input.payloadBytes ?? DEFAULTS.payloadBytes
  const options: FleetOptions = {
    command: input.command,
    endpoints: input.urls.map(parseEndpoint),
    devices,
    pattern,
    connectRate: positive('--connect-rate', input.connectRate ?? DEFAULTS.connectRate),
    rate: input.rate === undefined ? undefined : positive('--rate', input.rate),
    saturate,
    window,
    durationMs: positive('--duration', input.durationMs ?? DEFAULTS.durationMs),
    warmupMs: notNegative('--warmup', input.warmupMs ?? 0),
    drainMs: notNegative('--drain', input.drainMs ?? DEFAULTS.drainMs),
    connectTimeoutMs: positive(
      '--connect-timeout',
      input.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
    ),
    connectFailuresMax: within('--connect-failures', input.connectFailuresMax ?? 0, 0, DEVICES_MAX),
    keepAliveS: within('--keep-alive', input.keepAliveS ?? DEFAULTS.keepAliveS, 0, 65_535),
    qos: within('--qos', input.qos ?? 0, 0, 2) as Qos,
    // Deliveries can outrun acknowledgements: a full window must not wait for a free packet id.
    inflight: saturate ? Math.max(inflight, 2 * window) : inflight,
    payloadBytes: within('--payload-bytes', payloadBytes, PAYLOAD_HEADER_BYTES, PAYLOAD_BYTES_MAX),
    topic: input.topic ?? DEFAULTS.topic,
    clientId: input.clientId ?? DEFAULTS.clientId,
    username: input.username,
    password: input.password,
    ca: input.ca,
    insecure: input.insecure ?? false,
    tlsGroups: input.tlsGroups ?? DEFAULTS.tlsGroups,
    clean: input.clean ?? true,
    retain: input.retain ?? false,
    seed: within('--seed', input.seed ?? DEFAULTS.seed, 0, 0xffff_ffff),
    runId: input.runId ?? Math.floor(Math.random() * 0x1_0000_0000),
    thresholds: parseThresholds(input.thresholds ?? [], input.command, input.qos ?? 0),
    lagBoundMs: positive('--lag-bound', input.lagBoundMs ?? DEFAULTS.lagBoundMs),
    watchPids: input.watchPids ?? [],
  }
  checkNames(options)
  checkPattern(options)
  return Object.freeze(options)
}
