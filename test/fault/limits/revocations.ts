/** Limits of revocations, and of certificates that end while their client is connected. */
import { Authority } from '@breakwater/broker'
import { expect } from 'vitest'
import { adminEnvironment, askAdmin } from '../../kit/admin-client.ts'
import { startNode } from '../../kit/node.ts'
import { meet } from '../../tls/tls-peer.ts'
import { MountedSecret } from '../../tls/mounted-secret.ts'
import { connect, LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

async function driveRevocations(): Promise<void> {
  const environment = adminEnvironment()
  await using node = await startNode({ listen, environment, limits: { revocationsMax: 1 } })
  const revoke = async (clientId: string): Promise<number> =>
    (await askAdmin(node, 'POST', 'revocations', { body: { clientId } })).status
  expect([await revoke('one'), await revoke('one'), await revoke('two')]).toEqual([201, 201, 507])
  await using _two = await connect(node, { clientId: 'two' })
  expect((await askAdmin(node, 'DELETE', 'revocations/clientId:one')).status).toBe(204)
  expect(await revoke('two')).toBe(201)
}

/** That the spread is random is not to be seen in one; that it is not passed, and not before the end, is. */
async function driveExpiry(): Promise<void> {
  const authority = await Authority.create('devices')
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  await using node = await startNode({
    listen: ['mqtts://127.0.0.1:0?client-auth=required'],
    environment: { BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt') },
    limits: { certificateExpirySpreadMs: 0 },
  })
  const notAfter = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_000)
  const pair = await authority.issue({ commonName: 'buoy', usage: 'client', notAfter })
  using peer = await meet({ port: node.tlsPort, ca: node.ca, ...pair }, { clientId: 'buoy' })
  expect(peer, node.closeReasons().join()).toMatchObject({ returnCode: 0, error: undefined })
  await node.logged(({ reason }) => reason === 'certificate-expired')
  expect(Date.now()).toBeGreaterThanOrEqual(notAfter.getTime())
  expect(node.closeReasons()).toEqual(['certificate-expired'])
}

export const revocationLimits = {
  revocationsMax: driveRevocations,
  certificateExpirySpreadMs: driveExpiry,
} as const satisfies Readonly<Record<string, LimitDriver>>
