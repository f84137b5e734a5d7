/**
 * Listeners: a comma list of URLs, each with settings of its own as query parameters. A parameter has the
 * name of the setting that it replaces for this listener (`BREAKWATER_TLS_CLIENT_AUTH` → `client-auth`).
 */
import { BlockList, isIP } from 'node:net'
import { parseClientIdRule, type ClientIdRule } from './client-id-rule.ts'
import { allowsAnonymous, isLoopback, type LoginFacts } from './listener-access.ts'
import {
  decideTls,
  TLS_PARAMETERS,
  type ListenerTls,
  type TlsParameter,
  type TlsTexts,
} from './listener-tls.ts'
import { didYouMean } from './similar.ts'
import { parseBoolean } from './values.ts'

export interface ListenerConfig {
  /** Label of metrics and log lines, unique per node: `mqtts`, or `mqtts-2` for another one. */
  readonly name: string
  readonly protocol: 'mqtts' | 'wss' | 'mqtt' | 'ws'
  readonly host: string
  readonly port: number
  /** For `mqtts` and `wss`. */
  readonly tls: ListenerTls | undefined
  /** For `wss` and `ws`. */
  readonly webSocket: WebSocketConfig | undefined
  /** Where connections begin with a PROXY header: networks of the proxies, `10.0.0.0/8`. */
  readonly proxies: readonly string[] | undefined
  /** Whether clients may come that show nothing of who they are. */
  readonly anonymous: boolean
  /** Which client ids it takes from whom; undefined: any from anybody. */
  readonly clientId: ClientIdRule | undefined
}

/** What holds for every listener that does not say otherwise. */
export interface CommonSettings {
  readonly tls: TlsTexts
  readonly anonymous: boolean | undefined
  readonly clientId: ClientIdRule | undefined
}

export interface WebSocketConfig {
  /** Exactly this one: `/mqtt`. */
  readonly path: string
  /** Pages that may connect, `https://fleet.example`; undefined: all. Only browsers send one. */
  readonly origins: readonly string[] | undefined
  /**
   * No page but those of this machine: the listener lets clients of this machine in without credentials, and a
   * browser on it would be such a client for any page of the Internet.
   */
  readonly localPagesOnly: boolean
  /** What one message holds that the node sends: one MQTT packet, or all of a write. */
  readonly frames: 'packet' | 'batch'
}

type Fail = (why: string) => Error

const PORTS = { mqtts: 8883, wss: 443, mqtt: 1883, ws: 80 } as const
const BETWEEN_URLS = /,(?=\s*(?:mqtts?|wss?):\/\/)/

/** @throws what `fail` makes: one line */
export function parseListeners(
  text: string,
  common: CommonSettings,
  logins: LoginFacts,
  fail: Fail,
): readonly ListenerConfig[] {
  const listeners: ParsedListener[] = []
  for (const part of text.split(BETWEEN_URLS).map((item) => item.trim())) {
    const url = parseUrl(part, fail)
    const protocol = url.protocol.slice(0, -1)
    if (!isProtocol(protocol))
      throw fail(`"${part}" must start with mqtts://, wss://, mqtt:// or ws://`)
    if (url.hostname === '') throw fail(`"${part}" needs a host to listen on, such as 0.0.0.0`)
    checkPlain(url, (why) => fail(`"${part}": ${why}`))
    const secure = protocol === 'mqtts' || protocol === 'wss'
    const web = protocol === 'wss' || protocol === 'ws'
    const taken = listeners.some((other) => other.name === protocol)
    const name = taken ? `${protocol}-${listeners.length + 1}` : protocol
    const query = new Query(url.searchParams, (why) => fail(`"${part}": ${why}`))
    const proxies = query.all('proxy')?.flatMap((value) => value.split(','))
    const origins = web ? query.all('origin') : undefined
    const frames = web ? framesOf(query) : 'packet'
    const own = secure ? query.tls() : {}
    const anonymous = query.one('anonymous')
    const clientId = query.one('client-id')
    query.end()
    const tls = secure ? decideTls({ ...common.tls, ...own }, query.fail) : undefined
    if (tls?.clientAuth === 'none') checkUnused(own, query.fail)
    checkNetworks(proxies, query.fail)
    checkOrigins(origins, query.fail)
    if (!web && url.pathname !== '' && url.pathname !== '/')
      throw query.fail('only wss:// and ws:// have a path')
    if (web && tls !== undefined && tls.clientAuth !== 'none' && origins === undefined)
      throw query.fail(
        'a page of anybody could use the certificate that is in a browser: name the pages with origin=https://…',
      )
    listeners.push({
      name,
      protocol,
      host: bareHost(url),
      port: url.port === '' ? PORTS[protocol] : Number(url.port),
      tls,
      webSocket: web
        ? {
            path: url.pathname === '/' ? '/mqtt' : url.pathname,
            origins,
            localPagesOnly: false,
            frames,
          }
        : undefined,
      proxies,
      anonymous:
        anonymous === undefined
          ? common.anonymous
          : parseBoolean(anonymous, (why) => query.fail(`anonymous ${why}`)),
      clientId:
        clientId === undefined
          ? common.clientId
          : parseClientIdRule(clientId, (why) => query.fail(`client-id ${why}`)),
    })
  }
  return listeners.map((listener) => {
    const anonymous = allowsAnonymous(listener, logins, listeners)
    const { webSocket, host } = listener
    const localPagesOnly = anonymous && webSocket?.origins === undefined && isLoopback(host)
    return { ...listener, anonymous, webSocket: webSocket && { ...webSocket, localPagesOnly } }
  })
}

type ParsedListener = Omit<ListenerConfig, 'anonymous'> & {
  readonly anonymous: boolean | undefined
}

/** A listener may have several of them; they go together by their order. */
const PAIR_FILES: ReadonlySet<TlsParameter> = new Set<TlsParameter>(['cert', 'key'])

/** Parameters of one URL: each is asked for once, and what nobody asked for is a mistake. */
class Query {
  readonly #params: URLSearchParams
  readonly #asked: string[] = []
  readonly fail: Fail

  constructor(params: URLSearchParams, fail: Fail) {
    this.#params = params
    this.fail = fail
  }

  all(name: string): readonly string[] | undefined {
    this.#asked.push(name)
    const values = this.#params.getAll(name)
    this.#params.delete(name)
    return values.length === 0 ? undefined : values
  }

  /** What two values would mean nobody could say. */
  one(name: string): string | undefined {
    const [value, another] = this.all(name) ?? []
    if (another !== undefined) throw this.fail(`${name} is given more than once`)
    return value
  }

  tls(): TlsTexts {
    const texts: Partial<Record<TlsParameter, string>> = {}
    for (const name of TLS_PARAMETERS) {
      const text = PAIR_FILES.has(name) ? this.all(name)?.join(',') : this.one(name)
      if (text !== undefined) texts[name] = text
    }
    return texts
  }

  end(): void {
    for (const name of this.#params.keys())
      throw this.fail(
        `unknown listener setting "${name}"${didYouMean(name, this.#asked, 'docs/CONFIG.md')}`,
      )
  }
}

const OF_CLIENTS = ['client-ca', 'crl', 'identity', 'expired-clients'] as const

/** Somebody who gives one of these believes that certificates are asked for. */
function checkUnused(own: TlsTexts, fail: Fail): void {
  for (const name of OF_CLIENTS)
    if (own[name] !== undefined)
      throw fail(`${name} has no effect without client-auth=optional or client-auth=required`)
}

/** What a URL can hold and nobody reads. */
export function checkPlain({ hash }: URL, fail: Fail): void {
  if (hash !== '') throw fail('ends at its #, which is written %23 in a value')
}

function framesOf(query: Query): WebSocketConfig['frames'] {
  const frames = query.one('frames') ?? 'packet'
  if (frames !== 'packet' && frames !== 'batch') throw query.fail('frames must be packet or batch')
  return frames
}

function isProtocol(text: string): text is ListenerConfig['protocol'] {
  return Object.hasOwn(PORTS, text)
}

function checkNetworks(networks: readonly string[] | undefined, fail: Fail): void {
  if (networks === undefined) return
  try {
    blockListOf(networks)
  } catch (cause) {
    throw Object.assign(
      fail('proxy must be addresses or networks of proxies, such as 10.0.0.0/8'),
      { cause },
    )
  }
}

/** @throws {Error} one of them is no network */
export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix, ...rest] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else if (/^\d+$/.test(prefix) && rest.length === 0)
      list.addSubnet(address, Number(prefix), family)
    else throw new Error(`"${network}" is not a network such as 10.0.0.0/8`)
  }
  return list
}

function checkOrigins(origins: readonly string[] | undefined, fail: Fail): void {
  for (const origin of origins ?? [])
    if (!URL.canParse(origin) || new URL(origin).origin !== origin)
      throw fail(`origin "${origin}" must be scheme, host and port only: https://fleet.example`)
}

/** @throws what `fail` makes: one line, without what may be a password */
export function parseUrl(text: string, fail: Fail): URL {
  const shown = text.includes('@') ? 'it' : `"${text}"`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw fail(`${shown} is not a URL`)
  // It would be in logs and messages.
  if (url.username !== '' || url.password !== '')
    throw fail(
      'holds a user name or a password, which would be in logs: remove what is before the @',
    )
  return url
}

/** `[::1]` in a URL is `::1` for a socket. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}
