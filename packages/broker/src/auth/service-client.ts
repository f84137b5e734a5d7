/**
 * Asks an HTTP service of the operator's: the HTTP hook, or the one that has the keys of tokens. Redirects are
 * not followed. What fails is told in one line with the host and the cause, and without anything that was sent.
 *
 * Bounds: `timeoutMs` for all of an answer, `bytesMax` of it.
 */
import { Agent as PlainAgent, request as requestPlain, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'

export interface ServiceClientOptions {
  readonly url: URL
  readonly timeoutMs: number
  readonly bytesMax: number
  /** PEM of the authorities that may have signed the certificate of the service; undefined: the system's. */
  readonly authorities?: (() => string | undefined) | undefined
  /** For messages: the setting that names them. */
  readonly authoritiesSetting: string
  /** For `Authorization: Bearer`. */
  readonly token?: (() => string | undefined) | undefined
}

export interface ServiceAnswer {
  readonly status: number
  readonly text: string
}

/** The service gave no answer that can be used. */
export class ServiceFailure extends Error {
  override readonly name = 'ServiceFailure'
  /** It cannot be reached, is too slow or broken, whatever it is asked. */
  readonly isOutage: boolean

  constructor(message: string, isOutage: boolean, options?: ErrorOptions) {
    super(message, options)
    this.isOutage = isOutage
  }
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
/** A connection that is kept is given up when nothing was asked for so long. */
const IDLE_MS = 30_000

export class ServiceClient implements Disposable {
  readonly #options: ServiceClientOptions
  #agent: PlainAgent | undefined
  #authorities: string | undefined

  constructor(options: ServiceClientOptions) {
    this.#options = options
  }

  get host(): string {
    return this.#options.url.host
  }

  [Symbol.dispose](): void {
    this.#agent?.destroy()
  }

  /** @throws {ServiceFailure} */
  get(): Promise<ServiceAnswer> {
    return this.#ask(undefined)
  }

  /** @throws {ServiceFailure} */
  post(body: object): Promise<ServiceAnswer> {
    return this.#ask(JSON.stringify(body))
  }

  async #ask(body: string | undefined): Promise<ServiceAnswer> {
    const { timeoutMs } = this.#options
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), timeoutMs)
    try {
      return await this.#once(body, abort.signal).catch((error: RetriableError) => {
        // The service gave up a connection that was kept, in the moment in which it was used again.
        if (error.reusedSocket !== true || abort.signal.aborted) throw error
        return this.#once(body, abort.signal)
      })
    } catch (cause) {
      if (cause instanceof ServiceFailure) throw cause
      const why = abort.signal.aborted
        ? `no answer within ${timeoutMs} ms`
        : this.#causeOf(cause as Error)
      throw new ServiceFailure(`${this.host}: ${why}`, true, { cause })
    } finally {
      clearTimeout(timer)
    }
  }

  async #once(body: string | undefined, signal: AbortSignal): Promise<ServiceAnswer> {
    const { url, token, bytesMax } = this.#options
    const bearer = token?.()
    const request = (url.protocol === 'https:' ? requestTls : requestPlain)(url, {
      agent: this.#currentAgent(),
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : {
              'content-type': 'application/json',
              'content-length': String(Buffer.byteLength(body)),
            }),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      signal,
    })
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', (error: RetriableError) => {
        error.reusedSocket = request.reusedSocket
        reject(error)
      })
      request.end(body)
    })
    const parts: Buffer[] = []
    let bytes = 0
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length
      if (bytes > bytesMax)
        throw new ServiceFailure(`${this.host}: answered more than ${bytesMax} bytes`, false)
      parts.push(part)
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }
  }

  /** Connections are kept until other authorities are trusted; what is under way on them then goes on. */
  #currentAgent(): PlainAgent {
    const { url, authorities } = this.#options
    const ca = authorities?.()
    if (this.#agent !== undefined && ca === this.#authorities) return this.#agent
    this.#authorities = ca
    const keep = { keepAlive: true, timeout: IDLE_MS }
    this.#agent =
      url.protocol === 'https:'
        ? new TlsAgent({ ...keep, ...(ca === undefined ? {} : { ca }) })
        : new PlainAgent(keep)
    return this.#agent
  }

  #causeOf(error: Error & { readonly code?: string }): string {
    const { code } = error
    if (code === undefined) return error.message
    return UNTRUSTED.has(code)
      ? `${code}; name its authority with ${this.#options.authoritiesSetting}`
      : code
  }
}

interface RetriableError extends Error {
  reusedSocket?: boolean
}
