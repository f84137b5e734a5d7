/** An auth service or key service for nodes, with answers that the test defines. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Question {
  readonly headers: IncomingMessage['headers']
  /** Undefined: there is none. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

export interface HttpService extends AsyncDisposable {
  readonly host: string
  readonly url: string
  readonly questions: readonly Question[]
  stop(): Promise<void>
}

export interface HttpServiceOptions {
  /** Plain unless given. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Default: any that is free. */
  readonly port?: number
}

export async function startHttpService(
  answer: (response: ServerResponse, question: Question) => unknown,
  { tls, port = 0 }: HttpServiceOptions = {},
): Promise<HttpService> {
  const questions: Question[] = []
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void (async () => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const text = Buffer.concat(parts).toString()
      const body = text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>)
      const question = { headers: request.headers, body }
      questions.push(question)
      answer(response, question)
    })().catch(() => response.destroy())
  }
  const server: Server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    host,
    url: `${tls === undefined ? 'http' : 'https'}://${host}`,
    questions,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
