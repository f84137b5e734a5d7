/** Values that are valid each and contradict each other stop helm before anything is installed. */
import { expect, test } from 'vitest'
import { describeChart } from './chart.ts'

const redis = { url: 'redis://redis:6379' }

describeChart('the checks of the chart values', (helm) => {
  test.each([
    ['several nodes without a Redis', { replicaCount: 3 }, /replicaCount: 3 nodes need a Redis/],
    [
      'two sources of the Redis URL',
      { redis: { ...redis, urlSecret: { name: 'redis' } } },
      /either redis.url or redis.urlSecret.name/,
    ],
    [
      'a Redis password in plain text',
      { redis: { url: 'redis://user:secret@redis:6379' } },
      /redis.url: carries a password/,
    ],
    [
      'a Redis password without a Redis',
      { redis: { passwordSecret: { name: 'redis' } } },
      /redis.passwordSecret: has no effect/,
    ],
    [
      'a Redis CA without a Redis',
      { redis: { caSecret: { name: 'redis' } } },
      /redis.caSecret: has no effect/,
    ],
    [
      'a Redis CA without TLS',
      { redis: { ...redis, caSecret: { name: 'redis' } } },
      /redis.caSecret: has no effect on a connection without TLS/,
    ],
    ['a prefix without a Redis', { redis: { prefix: 'a:' } }, /redis.prefix: has no effect/],
    [
      'neither users nor anonymous clients',
      { auth: { passwordSecret: { name: '' } } },
      /auth: nobody could connect/,
    ],
    [
      'anonymous clients alone and client ids of users',
      { auth: { passwordSecret: { name: '' }, allowAnonymous: true, clientId: '${username}' } },
      /auth.clientId: clients without credentials have no value for \$\{username\}/,
    ],
    [
      'two sources of the certificate',
      { tls: { existingSecret: 'tls', certManager: { issuerRef: { name: 'ca' } } } },
      /either tls.existingSecret or tls.certManager.issuerRef.name/,
    ],
    [
      'a certificate without a name',
      { tls: { certManager: { issuerRef: { name: 'ca' }, serviceNames: false } } },
      /certificate would hold no name/,
    ],
    [
      'a renewal that starts before the certificate is issued',
      { tls: { certManager: { duration: '24h', renewBefore: '100h' } } },
      /tls.certManager: renewBefore \(100h\) must be shorter than duration \(24h\)/,
    ],
    ['a node port on ClusterIP', { service: { nodePort: 30_883 } }, /service.nodePort: needs/],
    [
      'a traffic policy on ClusterIP',
      { service: { externalTrafficPolicy: 'Local' } },
      /service.externalTrafficPolicy: needs/,
    ],
    [
      'source ranges without a load balancer',
      { service: { type: 'NodePort', loadBalancerSourceRanges: ['192.0.2.0/24'] } },
      /need service.type LoadBalancer/,
    ],
    [
      'both bounds of the disruption budget',
      { podDisruptionBudget: { minAvailable: 1 } },
      /either maxUnavailable or minAvailable/,
    ],
    [
      'neither bound of the disruption budget',
      { podDisruptionBudget: { maxUnavailable: '' } },
      /either maxUnavailable or minAvailable/,
    ],
    [
      'a variable that the chart sets',
      { extraEnv: [{ name: 'BREAKWATER_LOG_LEVEL', value: 'trace' }] },
      /extraEnv: BREAKWATER_LOG_LEVEL is already set/,
    ],
    [
      'a variable given twice',
      { extraEnv: ['1', '2'].map((value) => ({ name: 'A', value })) },
      /extraEnv: A is already set/,
    ],
    [
      'a volume name that the chart uses',
      { extraVolumes: [{ name: 'tls', emptyDir: {} }] },
      /extraVolumes: the name tls is already used/,
    ],
    [
      'a mount without its volume',
      { extraVolumeMounts: [{ name: 'nowhere', mountPath: '/nowhere' }] },
      /extraVolumeMounts: there is no volume nowhere/,
    ],
  ])('refuse %s', async (_title, values, complaint) => {
    expect(await helm.refusal({ values })).toMatch(complaint)
  })

  test.each([
    { extraEnv: [{ name: 'BREAKWATER_JWT_KEYS', value: 'https://id.example/keys' }] },
    { extraEnv: [{ name: 'BREAKWATER_AUTH_HTTP_URL', value: 'https://auth.example' }] },
    { extraEnvFrom: [{ configMapRef: { name: 'logins' } }] },
  ])('accept %o without a password file, with a client id rule', async (extra) => {
    const auth = { passwordSecret: { name: '' }, clientId: '${username}' }
    expect(await helm.template({ values: { auth, ...extra } })).toMatchObject({ exitCode: 0 })
  })

  test('report all contradictions at once', async () => {
    const values = { replicaCount: 2, auth: { passwordSecret: { name: '' } } }
    const refusal = await helm.refusal({ values })
    expect(refusal).toMatch(/replicaCount: /)
    expect(refusal).toMatch(/auth: /)
  })

  test('accept a mounted volume of the user, and a Redis URL with a user name and without a password', async () => {
    const values = {
      replicaCount: 2,
      redis: { url: 'rediss://user@redis:6379/1' },
      extraVolumes: [{ name: 'scratch', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'scratch', mountPath: '/tmp' }],
    }
    expect((await helm.template({ values })).exitCode).toBe(0)
  })
})
