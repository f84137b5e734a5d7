/** What a failed command of Redis means for what it was to do. */
import type { Outcome } from './turn-queue.ts'

/** The server's word that a command did not happen, and may at another time. */
const REFUSED =
  /^(NOSCRIPT|OOM|READONLY|LOADING|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|OUTOFTURN|TRYAGAIN|CLUSTERDOWN|MOVED|ASK) /

/** A cluster's word that a key is elsewhere, or on its way. */
const RELOCATED = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /

/** It is no fault: who asks again is answered. */
export function isRelocation({ message }: Error): boolean {
  return RELOCATED.test(message)
}

/** What is sent again without an answer must be harmless when it happens twice. */
export function failureOf(error: Error): Outcome {
  const again = error.name !== 'ReplyError' || REFUSED.test(error.message)
  return { error: reasonOf(error), again }
}

/** ioredis puts a lost connection in terms of its own retries. */
function reasonOf(error: Error): Error {
  if (error.name !== 'MaxRetriesPerRequestError') return error
  return new Error('connection lost', { cause: error })
}
