/** What the admin API asks the store. Bound: ANSWER_TIMEOUT_MS. */
import { ApiError } from './api-answer.ts'

/** Below the time after which the admin server closes a connection that says nothing. */
const ANSWER_TIMEOUT_MS = 5_000

/**
 * The answer of the store, or 503 where there is none. A defect on the way stays one.
 *
 * @throws {ApiError} the store does not answer, with what it said as its cause
 */
export async function fromStore<Result>(work: Promise<Result>): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)),
    ANSWER_TIMEOUT_MS,
  )
  try {
    return await Promise.race([work, late])
  } catch (cause) {
    if (cause instanceof ApiError || isDefect(cause)) throw cause
    throw new ApiError(
      503,
      'the store does not answer; what was asked may have been done',
      undefined,
      cause,
    )
  } finally {
    clearTimeout(timer)
  }
}

function isDefect(error: unknown): boolean {
  return (
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
  )
}
