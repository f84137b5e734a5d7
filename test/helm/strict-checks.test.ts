/** The two checkers that the tests of the chart rely on find faults. */
import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from './chart.ts'
import { isBuiltIn, walkFields } from './field-walk.ts'
import { checkModel } from './model-check.ts'

const service: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'a', labels: { free: 'choice' } },
  spec: { ports: [{ port: 8883, targetPort: 'mqtts' }], selector: { app: 'a' } },
}

const certificate: KubernetesObject = {
  apiVersion: 'cert-manager.io/v1',
  kind: 'Certificate',
  metadata: { name: 'a', labels: { free: 'choice' } },
  spec: { secretName: 'a', dnsNames: ['a.example'], issuerRef: { name: 'ca' } },
}

const monitor: KubernetesObject = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'ServiceMonitor',
  metadata: { name: 'a' },
  spec: { selector: { matchLabels: { app: 'a' } }, endpoints: [{ port: 'a', interval: '30s' }] },
}

describe('the check of fields in rendered objects', () => {
  test('accepts a correct object', () => {
    expect(isBuiltIn(service)).toBe(true)
    expect(walkFields(service)).toEqual([])
  })

  test('names an unknown field, a wrong type and a null by their path', () => {
    const ports = [{ port: '8883', targtPort: 'mqtts', nodePort: null }]
    expect(walkFields({ ...service, spec: { ports, selector: [] } })).toEqual([
      'Service/a.spec.ports[0].port: string instead of number',
      'Service/a.spec.ports[0].targtPort: no such field in V1ServicePort',
      'Service/a.spec.ports[0].nodePort: null',
      'Service/a.spec.selector: not a mapping',
    ])
  })

  test('does not support custom resources', () => {
    expect(isBuiltIn(certificate)).toBe(false)
  })
})

describe('the check of rendered objects against the generated models', () => {
  test.each([service, certificate, monitor])('accepts a correct $kind', async (object) => {
    expect(await checkModel(object)).toEqual([])
  })

  test('names unknown fields of custom and built-in kinds by their path', async () => {
    const spec = { secretName: 'a', dnsName: [], issuerRef: { name: 'ca', grup: 'x' } }
    expect(await checkModel({ ...certificate, spec })).toEqual([
      'Certificate/a.spec.issuerRef.grup: no such field',
      'Certificate/a.spec.dnsName: no such field',
    ])
    const endpoints = [{ port: 'a', intervall: '30s' }]
    expect(await checkModel({ ...monitor, spec: { selector: {}, endpoints } })).toEqual([
      'ServiceMonitor/a.spec.endpoints[0].intervall: no such field',
    ])
    expect(await checkModel({ ...service, metadata: { name: 'a', lables: {} } })).toEqual([
      'Service/a.metadata.lables: no such field',
    ])
  })

  test('refuses a wrong enumeration, a wrong pattern and a missing field', async () => {
    const spec = { issuerRef: { name: 'ca' }, privateKey: { algorithm: 'DSA' } }
    const [fault] = await checkModel({ ...certificate, spec })
    expect(fault).toMatch(/algorithm/)
    expect(fault).toMatch(/secretName/)
    const endpoints = [{ port: 'a', interval: '30 sec' }]
    const [pattern] = await checkModel({ ...monitor, spec: { selector: {}, endpoints } })
    expect(pattern).toMatch(/interval/)
  })
})
