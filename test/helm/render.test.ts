/** What the chart renders is complete, strict and the same every time, on both helm versions. */
import { expect, test } from 'vitest'
import { describeChart, nullsOf, objectOf, valuesFiles, type KubernetesObject } from './chart.ts'
import { isBuiltIn, walkFields } from './field-walk.ts'
import { checkModel } from './model-check.ts'

async function faultsOf(objects: readonly KubernetesObject[]): Promise<readonly string[]> {
  const models = await Promise.all(objects.map(checkModel))
  return [
    ...objects.filter(isBuiltIn).flatMap(walkFields),
    ...models.flat(),
    ...objects.flatMap((object) => nullsOf(object)),
  ]
}

function kindsOf(objects: readonly KubernetesObject[]): readonly string[] {
  return objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()
}

describeChart('the chart', (helm) => {
  test.each([...valuesFiles])('lints strictly with %s', async (_name, values) => {
    const { exitCode, stdout, stderr } = await helm.lint(values)
    expect(`${stdout}${stderr}`).not.toMatch(/\[(WARNING|ERROR)\]|Fail:/)
    expect(exitCode).toBe(0)
  })

  test.each([...valuesFiles])('renders valid objects with %s', async (_name, values) => {
    const objects = await helm.render({ values })
    expect(objects.length).toBeGreaterThan(4)
    expect(await faultsOf(objects)).toEqual([])
  })

  test.each(['1.25.0', 'v1.29.4-gke.100', 'v1.30.2-eks-1552ad0', '1.33.1', '1.36.0'])(
    'renders valid objects for Kubernetes %s',
    async (kubeVersion) => {
      for (const name of ['values-production.yaml', 'everything.yaml']) {
        const values = valuesFiles.get(name)
        expect(values).toBeDefined()
        expect(await faultsOf(await helm.render({ values, kubeVersion }))).toEqual([])
      }
    },
  )

  test('refuses a Kubernetes older than 1.25', async () => {
    expect(await helm.refusal({ kubeVersion: '1.24.17' })).toMatch(/kubeVersion/)
  })

  test('renders the same text twice', async () => {
    const values = valuesFiles.get('everything.yaml')
    const [first, second] = [await helm.template({ values }), await helm.template({ values })]
    expect(second.stdout).toBe(first.stdout)
    expect(first.stdout).toContain('kind: Deployment')
  })

  test('makes its own CA by default', async () => {
    expect(kindsOf(await helm.render())).toEqual([
      'Certificate breakwater',
      'Certificate breakwater-ca',
      'Deployment breakwater',
      'Issuer breakwater-ca',
      'Issuer breakwater-selfsigned',
      'Service breakwater',
      'Service breakwater-admin',
      'ServiceAccount breakwater',
    ])
  })

  test('needs neither an issuer nor a certificate when a Secret exists', async () => {
    const objects = await helm.render({ values: valuesFiles.get('values-existing-secret.yaml') })
    expect(kindsOf(objects)).toEqual([
      'Deployment breakwater',
      'PodDisruptionBudget breakwater',
      'Service breakwater',
      'Service breakwater-admin',
      'ServiceAccount breakwater',
    ])
  })

  test('puts every object into the namespace of the release, with its labels', async () => {
    const values = { commonLabels: { team: 'devices', 'app.kubernetes.io/instance': 'other' } }
    for (const { kind, metadata } of await helm.render({ values, namespace: 'iot' })) {
      expect(metadata, kind).toMatchObject({
        namespace: 'iot',
        labels: {
          team: 'devices',
          'app.kubernetes.io/name': 'breakwater',
          'app.kubernetes.io/instance': 'breakwater',
        },
      })
    }
  })

  test('keeps names short enough for a long release name', async () => {
    const release = `r${'x'.repeat(52)}`
    for (const { kind, metadata } of await helm.render({ release }))
      expect(metadata.name.length, `${kind} ${metadata.name}`).toBeLessThanOrEqual(63)
  })

  test('asks the issuer only for names that it can grant', async () => {
    const namesWith = async (file: string): Promise<unknown> => {
      const objects = await helm.render({ values: valuesFiles.get(file) })
      return objectOf(objects, 'Certificate', 'breakwater')['spec']
    }
    expect(await namesWith('values-acme.yaml')).toMatchObject({
      dnsNames: ['mqtt.example.com'],
      issuerRef: { name: 'letsencrypt', kind: 'ClusterIssuer', group: 'cert-manager.io' },
    })
    expect(await namesWith('values-production.yaml')).toMatchObject({
      dnsNames: [
        'breakwater',
        'breakwater.iot',
        'breakwater.iot.svc',
        'breakwater.iot.svc.cluster.local',
        'mqtt.example.com',
      ],
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      usages: ['digital signature', 'server auth'],
      duration: '2160h',
      renewBefore: '720h',
    })
  })

  test('signs its certificate with the CA that it makes', async () => {
    const objects = await helm.render()
    const authority = objectOf(objects, 'Certificate', 'breakwater-ca')['spec']
    expect(authority).toMatchObject({ isCA: true, privateKey: { rotationPolicy: 'Never' } })
    expect(objectOf(objects, 'Issuer', 'breakwater-ca')['spec']).toEqual({
      ca: { secretName: (authority as { secretName: string }).secretName },
    })
    expect(objectOf(objects, 'Certificate', 'breakwater')['spec']).toMatchObject({
      issuerRef: { name: 'breakwater-ca', kind: 'Issuer' },
      dnsNames: expect.arrayContaining([
        'localhost',
        'breakwater.iot.svc.cluster.local',
      ]) as unknown,
    })
  })

  test('lets the ServiceMonitor select the admin Service and nothing else', async () => {
    const objects = await helm.render({ values: { serviceMonitor: { enabled: true } } })
    const { selector } = objectOf(objects, 'ServiceMonitor')['spec'] as {
      selector: { matchLabels: Record<string, string> }
    }
    const selected = objects.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(selector.matchLabels).every(
          ([key, value]) => (metadata['labels'] as Record<string, string>)[key] === value,
        ),
    )
    expect(kindsOf(selected)).toEqual(['Service breakwater-admin'])
    expect(selected[0]?.['spec']).toMatchObject({ type: 'ClusterIP', ports: [{ name: 'admin' }] })
  })
})
