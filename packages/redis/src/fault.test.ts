import { describe, expect, it } from 'vitest'
import { faultOf } from './fault.ts'
import { UnfitRedis } from './health.ts'

function coded(code: string, message = code): Error {
  return Object.assign(new Error(message), { code })
}

describe('a fault of Redis', () => {
  it.each([
    [coded('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1'), 'unreachable', 'REDIS_URL'],
    [coded('ENOTFOUND'), 'name', 'host in BREAKWATER_REDIS_URL'],
    [coded('ETIMEDOUT'), 'timeout', 'firewall'],
    [coded('ECONNRESET', 'closed without an answer'), 'closed', 'rediss://'],
    [coded('ERR_SSL_WRONG_VERSION_NUMBER', 'ssl: wrong version number'), 'tls', 'redis://'],
    [coded('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed'), 'certificate', 'BREAKWATER_REDIS_CA'],
    [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'no'), 'certificate', 'BREAKWATER_REDIS_CA'],
    [coded('CERT_HAS_EXPIRED', 'no'), 'certificate', 'renew'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID', 'no'), 'certificate', 'host name'],
    [coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'no'), 'certificate', 'REDIS_CERT'],
    [new Error('NOAUTH Authentication required.'), 'password', 'REDIS_PASSWORD_FILE'],
    [new Error('WRONGPASS invalid username-password pair'), 'password', 'REDIS_PASSWORD_FILE'],
    [new Error('NOPERM this user has no permissions'), 'permission', 'docs/REDIS.md'],
    [new Error("ERR The user executing the script can't run this"), 'permission', 'PREFIX'],
    [new Error('SELECT 9: ERR DB index is out of range'), 'database', '+select'],
    [new Error('READONLY You cannot write'), 'read-only', 'master'],
    [new Error('LOADING Redis is loading'), 'loading', 'loaded'],
    [new Error('OOM command not allowed'), 'memory', 'maxmemory'],
    [new Error('MISCONF Redis is configured'), 'disk', 'disk'],
    [new Error('NOREPLICAS Not enough'), 'replicas', 'min-replicas-to-write'],
    [new Error('CLUSTERDOWN The cluster is down'), 'cluster', 'CLUSTER INFO'],
    [new UnfitRedis('too old'), 'unfit', ''],
    [new Error('something else'), 'other', ''],
  ] as const)('has one kind and a remedy: %s', (error, kind, advice) => {
    const fault = faultOf(error)
    expect(fault.kind).toBe(kind)
    expect(fault.advice).toContain(advice)
    // However many wrap it.
    const wrapped = new Error('redis://host: no', { cause: new Error('x', { cause: error }) })
    expect(faultOf(wrapped).kind).toBe(kind)
  })

  it('has the same text each time, without random or counted parts', () => {
    const texts = [12.5, 1_999].map(
      (ms) =>
        faultOf(
          new Error(
            `All sentinels are unreachable. Retrying from scratch after ${ms}ms. Last error: x`,
          ),
        ).text,
    )
    expect(new Set(texts).size).toBe(1)
    const sha = 'a'.repeat(40)
    expect(faultOf(new Error(`OOM no. script: ${sha}, on @user_script:5.`)).text).toBe('OOM no.')
    expect(faultOf(new Error('x'.repeat(10_000))).text.length).toBeLessThan(250)
  })

  it.each([
    [new Error('SELECT 9: ERR DB index is out of range'), true],
    [new UnfitRedis('too old'), true],
    [coded('ECONNREFUSED'), false],
    [new Error('WRONGPASS no'), false],
    [new Error('NOPERM no'), false],
  ] as const)('is lasting only when waiting cannot resolve it: %s', (error, lasting) => {
    expect(faultOf(error).lasting).toBe(lasting)
  })
})
