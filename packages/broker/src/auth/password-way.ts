/**
 * The password file as a way of logging in. What was right before is recalled; anything else is a check that
 * waits for its turn (`login-queue.ts`), since each takes a core for a while.
 *
 * A user name that the file does not know is checked for nothing and as long (`check-time.ts`), and refusals
 * leave in steps of REFUSAL_STEP_MS, so that the time of an answer does not tell which names there are.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isRefused, type Authenticator } from './answer.ts'
import type { LoginQueue } from './login-queue.ts'
import type { PasswordFile } from './password-file.ts'

export interface PasswordWayOptions {
  readonly passwords: () => PasswordFile
  /** No other way is asked after it, so a user that it does not know is wrong. */
  readonly decides: boolean
  readonly queue: LoginQueue
}

const REFUSAL_STEP_MS = 100
/** What a login takes beside what the client has sent. */
const OVERHEAD_BYTES = 512

export function passwordWay({ passwords, decides, queue }: PasswordWayOptions): Authenticator {
  return async ({ username, password = Buffer.alloc(0), network, client, deadlineMs }) => {
    if (username === undefined) return undefined
    const file = passwords()
    const isKnown = file.has(username)
    if (!decides && !isKnown) return undefined
    const right = {
      username,
      holds: () => passwords() === file || passwords().hasSameLine(username, file),
    }
    if (file.recalls(username, password)) return right
    const cameAt = performance.now()
    const login = {
      username,
      network,
      mark: file.markOf(username, password),
      bytes: OVERHEAD_BYTES + username.length + password.length,
      client,
      deadlineMs,
      isFree: !isKnown,
    }
    const outcome = await queue.ask(login, async () =>
      (await file.verify(username, password)) ? right : { refused: 'bad-credentials' },
    )
    if (outcome !== undefined && isRefused(outcome) && outcome.refused === 'bad-credentials')
      await delay(REFUSAL_STEP_MS - ((performance.now() - cameAt) % REFUSAL_STEP_MS))
    return outcome
  }
}
