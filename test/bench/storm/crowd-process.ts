/** A crowd in a process of its own. It does what it is sent over the IPC channel, one request at a time. */
import { Crowd, type CrowdOptions, type CrowdReport, type PhaseReport } from './crowd.ts'

export type CrowdRequest =
  | { readonly kind: 'connect'; readonly options: CrowdOptions }
  | { readonly kind: 'publish'; readonly ratePerSecond: number }
  /** Nodes are here and nowhere else, from now on. */
  | { readonly kind: 'ports'; readonly ports: readonly number[] }
  | { readonly kind: 'phase' }
  | { readonly kind: 'not-ready' }
  | { readonly kind: 'drain' }

/** What each request is answered with. */
export interface CrowdAnswers {
  readonly connect: undefined
  readonly publish: undefined
  readonly ports: undefined
  readonly phase: PhaseReport
  readonly 'not-ready': number
  readonly drain: CrowdReport
}

let crowd: Crowd | undefined

async function answer(request: CrowdRequest): Promise<CrowdAnswers[CrowdRequest['kind']]> {
  if (request.kind === 'connect') {
    crowd = new Crowd(request.options)
    await crowd.connect()
    return undefined
  }
  if (crowd === undefined) throw new Error('there is no crowd yet')
  let reply: CrowdAnswers[CrowdRequest['kind']]
  switch (request.kind) {
    case 'publish':
      crowd.publish(request.ratePerSecond)
      break
    case 'ports':
      crowd.ports = request.ports
      break
    case 'phase':
      reply = crowd.phase()
      break
    case 'not-ready':
      reply = crowd.notReady
      break
    case 'drain':
      reply = await crowd.drain()
      break
  }
  return reply
}

process.on('message', (request: CrowdRequest) => {
  void answer(request).then((reply) => process.send?.({ reply }))
})
process.once('disconnect', () => process.exit())
