/** Opens sockets to the brokers: plain or TLS, one TLS context for all devices. */
import { X509Certificate } from 'node:crypto'
import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  type ConnectionOptions,
  type SecureContext,
} from 'node:tls'
import { InputError } from '../command/input-error.ts'
import type { Endpoint, FleetOptions } from '../command/options.ts'

type DialerOptions = Pick<FleetOptions, 'endpoints' | 'ca' | 'insecure' | 'tlsGroups'>

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** Node takes a CA that it cannot read without a word and then trusts nobody: say so instead. */
const checkedAuthorities = (pem: string): string[] => {
  const certificates = pem.match(CERTIFICATE) ?? []
  if (certificates.length === 0) throw new InputError('--ca: the file holds no PEM certificate')
  for (const certificate of certificates) {
    try {
      void new X509Certificate(certificate)
    } catch (error) {
      throw new InputError('--ca: the file holds a damaged certificate', { cause: error })
    }
  }
  return certificates
}

const openContext = (options: DialerOptions): SecureContext => {
  const ca = options.ca === undefined ? undefined : checkedAuthorities(options.ca)
  try {
    return createSecureContext({
      ecdhCurve: options.tlsGroups,
      ...(ca === undefined ? {} : { ca }),
    })
  } catch (error) {
    throw new InputError(`--tls-groups: OpenSSL does not know "${options.tlsGroups}"`, {
      cause: error,
    })
  }
}

export class Dialer {
  readonly #endpoints: readonly Endpoint[]
  readonly #insecure: boolean
  readonly #context: SecureContext | undefined

  constructor(options: DialerOptions) {
    this.#endpoints = options.endpoints
    this.#insecure = options.insecure
    const secure = options.endpoints.some((endpoint) => endpoint.secure)
    this.#context = secure ? openContext(options) : undefined
  }

  /** Where device `index` connects to. */
  endpoint(index: number): Endpoint {
    return this.#endpoints[index % this.#endpoints.length]!
  }

  /** Starts to connect. `onread` gets the bytes; TLS sockets tell by `secureConnect`. */
  open(endpoint: Endpoint, onread: OnReadOpts): Socket {
    const { host, port } = endpoint
    if (this.#context === undefined || !endpoint.secure) {
      return connect({ host, port, onread, noDelay: true })
    }
    // tls.connect takes `onread` as net.connect does; its types do not say so yet.
    const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
      host,
      port,
      onread,
      secureContext: this.#context,
      rejectUnauthorized: !this.#insecure,
      // An address must not be sent as a server name (RFC 6066, section 3).
      ...(isIP(host) === 0 ? { servername: host } : {}),
    }
    const socket = connectTls(options)
    socket.setNoDelay(true)
    return socket
  }
}
