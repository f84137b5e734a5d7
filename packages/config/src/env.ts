/** Layer one: reads the environment and the YAML file. No defaults and no decisions here. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { limitNames, limitVariable } from './limits.ts'
import { didYouMean } from './similar.ts'
import { ConfigError, SETTINGS, settingNames, type Settings, type SettingName } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * What Kubernetes injects into every pod of a namespace for each of its Services, `breakwater` or
 * `breakwater-redis`; not ours, never an error. `…_PORT` alone could be somebody's mistake: its value tells.
 */
const SERVICE_LINK =
  /^BREAKWATER_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/
const SERVICE_URL = /^BREAKWATER_(?:\w+_)?PORT$/
const LINK_URL = /^(?:tcp|udp|sctp):\/\//

export function isServiceLink(variable: string, value: string): boolean {
  return SERVICE_LINK.test(variable) || (SERVICE_URL.test(variable) && LINK_URL.test(value))
}

/**
 * Settings from the environment and, if given, a YAML file; a variable wins over the file.
 *
 * @throws {ConfigError} an unknown key, or a file that cannot be read or is not a flat mapping
 */
export function readSettings(
  environment: Environment = process.env,
  configFile?: string,
): Settings {
  const values: Partial<Record<SettingName, string>> = {}
  const limits: Record<string, string> = {}
  const origins = new Map<string, string>()

  if (configFile !== undefined) readFile(configFile, values, limits, origins)

  const settingOf = new Map<string, SettingName>(settingNames.map((name) => [SETTINGS[name], name]))
  const limitOf = new Map(limitNames.map((name) => [limitVariable(name), name]))
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('BREAKWATER_') || value === undefined) continue
    if (variable.startsWith('BREAKWATER_TEST_') || isServiceLink(variable, value)) continue
    const setting = settingOf.get(variable)
    const limit = limitOf.get(variable)
    if (setting !== undefined) values[setting] = value
    else if (limit !== undefined) limits[limit] = value
    else
      throw new ConfigError(
        `${variable}: unknown variable${didYouMean(variable, [...settingOf.keys(), ...limitOf.keys()], 'docs/CONFIG.md')}`,
      )
    origins.set(setting ?? limit ?? '', variable)
  }
  return {
    values,
    limits,
    origin: (name) =>
      origins.get(name) ?? (name in SETTINGS ? SETTINGS[name as SettingName] : name),
  }
}

function readFile(
  path: string,
  values: Partial<Record<SettingName, string>>,
  limits: Record<string, string>,
  origins: Map<string, string>,
): void {
  let document: unknown
  try {
    document = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0] ?? ''
    throw new ConfigError(`--config ${path}: ${reason}`, { cause: error })
  }
  if (document === null || document === undefined) return
  if (!isMapping(document))
    throw new ConfigError(`--config ${path}: must be a mapping of settings, see docs/CONFIG.md`)
  for (const [key, value] of Object.entries(document)) {
    if (key === 'limits') {
      if (!isMapping(value)) throw new ConfigError(`limits in ${path}: must be a mapping`)
      for (const [limit, bound] of Object.entries(value)) {
        if (!(limitNames as readonly string[]).includes(limit))
          throw new ConfigError(
            `limits.${limit} in ${path}: unknown limit${didYouMean(limit, limitNames, 'docs/LIMITS.md')}`,
          )
        limits[limit] = scalar(bound, `limits.${limit} in ${path}`)
        origins.set(limit, `limits.${limit} in ${path}`)
      }
      continue
    }
    if (!Object.hasOwn(SETTINGS, key))
      throw new ConfigError(
        `${key} in ${path}: unknown key${didYouMean(key, [...settingNames, 'limits', ...limitNames.map((name) => `limits.${name}`)], 'docs/CONFIG.md')}`,
      )
    values[key as SettingName] = Array.isArray(value)
      ? value.map((item) => scalar(item, `${key} in ${path}`)).join(',')
      : scalar(value, `${key} in ${path}`)
    origins.set(key, `${key} in ${path}`)
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function scalar(value: unknown, where: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value)
  throw new ConfigError(`${where}: must be a plain value`)
}
