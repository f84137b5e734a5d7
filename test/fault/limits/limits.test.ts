/* Every limit of a node, driven to its bound and beyond: the node behaves as the limit declares. */
import { limitNames, type LimitName } from '@breakwater/config'
import { describe, test } from 'vitest'
import { adminLimits } from './admin.ts'
import { admissionLimits } from './admission.ts'
import type { LimitDriver } from './driver.ts'
import { logLimits } from './log.ts'
import { loginLimits } from './logins.ts'
import { packetLimits } from './packets.ts'
import { queueLimits } from './queues.ts'
import { rateLimits } from './rates.ts'
import { revocationLimits } from './revocations.ts'
import { shareLimits } from './shares.ts'
import { timeLimits } from './times.ts'

/** Total by its type: a limit without a driver does not compile. */
const drivers: Readonly<Record<LimitName, LimitDriver>> = {
  ...admissionLimits,
  ...adminLimits,
  ...packetLimits,
  ...loginLimits,
  ...queueLimits,
  ...timeLimits,
  ...rateLimits,
  ...revocationLimits,
  ...shareLimits,
  ...logLimits,
}

describe.concurrent('a node at a limit behaves as the limit declares', () => {
  test.each(limitNames)('%s', async (name) => {
    await drivers[name]()
  })
})
