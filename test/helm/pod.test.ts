/** The pod: restricted, probed, drained, and told only what the broker understands. */
import { decideConfig, readSettings, settingNames, SETTINGS } from '@breakwater/config'
import { expect, test } from 'vitest'
import { describeChart, objectOf, valuesFiles, type Helm, type Rendering } from './chart.ts'
import { restrictedFaults, type PodSpec } from './restricted-pod.ts'

interface DeploymentSpec {
  readonly replicas: number
  readonly strategy: { readonly rollingUpdate: Readonly<Record<string, unknown>> }
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }
  readonly template: {
    readonly metadata: { readonly labels: Readonly<Record<string, string>> }
    readonly spec: PodSpec
  }
}

async function deployment(helm: Helm, rendering: Rendering = {}): Promise<DeploymentSpec> {
  return objectOf(await helm.render(rendering), 'Deployment')['spec'] as DeploymentSpec
}

async function pod(helm: Helm, rendering: Rendering = {}): Promise<PodSpec> {
  return (await deployment(helm, rendering)).template.spec
}

/** The environment as the kubelet would build it; what comes from a Secret is a valid Redis URL. */
function environment(spec: PodSpec): Record<string, string> {
  return Object.fromEntries(
    (spec.containers[0]?.env ?? []).map(({ name, value }) => [
      name,
      value ?? 'rediss://secret:6379',
    ]),
  )
}

describeChart('the pod of the chart', (helm) => {
  test.each([...valuesFiles])('is restricted with %s', async (_name, values) => {
    expect(restrictedFaults(await pod(helm, { values }))).toEqual([])
  })

  test('gets no API token, no service links and no writable root file system', async () => {
    const spec = await pod(helm)
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false })
    expect(spec.containers[0]).toMatchObject({
      securityContext: { readOnlyRootFilesystem: true },
      terminationMessagePolicy: 'FallbackToLogsOnError',
    })
  })

  test('has three different probes on the admin port', async () => {
    const { startupProbe, readinessProbe, livenessProbe } = (await pod(helm)).containers[0] ?? {}
    const paths = [startupProbe, readinessProbe, livenessProbe].map((probe) => probe?.httpGet)
    expect(paths).toEqual([
      { path: '/startupz', port: 'admin' },
      { path: '/readyz', port: 'admin' },
      { path: '/livez', port: 'admin' },
    ])
  })

  test('listens on the ports that its Services and probes use', async () => {
    const spec = await pod(helm)
    const { BREAKWATER_LISTEN: listen = '', BREAKWATER_ADMIN: admin = '' } = environment(spec)
    expect(spec.containers[0]?.ports).toEqual([
      { name: 'mqtts', containerPort: Number(listen.split(':').at(-1)), protocol: 'TCP' },
      { name: 'admin', containerPort: Number(admin.split(':').at(-1)), protocol: 'TCP' },
    ])
  })

  test.each([...valuesFiles])(
    'has a configuration that the broker accepts with %s',
    async (_, values) => {
      const variables = environment(await pod(helm, { values }))
      const known = new Set(settingNames.map((name): string => SETTINGS[name]))
      const names = Object.keys(variables).filter((name) => name.startsWith('BREAKWATER_'))
      expect(names.filter((name) => !known.has(name))).toEqual([])
      const config = decideConfig(readSettings(variables))
      expect(config.listeners.map(({ tls }) => tls?.pairs)).toEqual([
        [{ certFile: '/etc/breakwater/tls/tls.crt', keyFile: '/etc/breakwater/tls/tls.key' }],
      ])
    },
  )

  test('passes every setting to the broker', async () => {
    const values = valuesFiles.get('everything.yaml')
    const config = decideConfig(readSettings(environment(await pod(helm, { values }))))
    expect(config).toMatchObject({
      redis: {
        url: 'rediss://breakwater@redis.data.svc:6380/2',
        passwordFile: '/etc/breakwater/redis-password/redis-password',
        caFile: '/etc/breakwater/redis-ca/bundle.pem',
        prefix: 'harbour:',
        ticketWrapKeyFile: '/etc/breakwater/ticket-wrap/tickets.key',
      },
      passwordFile: '/etc/breakwater/users/users.txt',
      adminTokenFile: '/etc/breakwater/admin-token/admin.txt',
      listeners: [{ anonymous: true, clientId: { text: '${username}:*' } }],
      sessionExpiryMs: 12 * 3_600_000,
      logLevel: 'debug',
      shutdownTimeoutMs: 300_000,
    })
  })

  test('does not allow anonymous clients unless a value allows them', async () => {
    expect(environment(await pod(helm))).toMatchObject({
      BREAKWATER_ALLOW_ANONYMOUS: 'false',
      BREAKWATER_PASSWORD_FILE: '/etc/breakwater/users/passwords',
    })
  })

  test('takes the Redis URL from a Secret and shows it nowhere', async () => {
    const values = { redis: { urlSecret: { name: 'redis', key: 'address' } } }
    expect((await pod(helm, { values })).containers[0]?.env).toContainEqual({
      name: 'BREAKWATER_REDIS_URL',
      valueFrom: { secretKeyRef: { name: 'redis', key: 'address' } },
    })
  })

  test.each([...valuesFiles])('mounts whole Secrets, read-only, with %s', async (_, values) => {
    const { containers, volumes = [] } = await pod(helm, { values })
    const mounts = (containers[0]?.volumeMounts ?? []).filter(({ mountPath }) =>
      mountPath.startsWith('/etc/breakwater/'),
    )
    expect(mounts.length).toBeGreaterThan(0)
    for (const mount of mounts) {
      expect(mount).toMatchObject({ readOnly: true })
      expect(mount).not.toHaveProperty('subPath')
      const secret = volumes.find(({ name }) => name === mount.name)?.['secret']
      expect(secret).toMatchObject({ defaultMode: 0o440 })
    }
    const files = Object.entries(environment({ containers }))
      .map(([, value]) => value)
      .filter((value) => value.startsWith('/etc/breakwater/'))
    for (const file of files)
      expect(
        mounts.some(({ mountPath }) => file.startsWith(`${mountPath}/`)),
        file,
      ).toBe(true)
  })

  test.each([
    [5, 25],
    [0, 10],
    [15, 90],
  ])(
    'gets a termination grace period of %i s + %i s and a margin',
    async (delaySeconds, timeoutSeconds) => {
      const spec = await pod(helm, { values: { shutdown: { delaySeconds, timeoutSeconds } } })
      expect(spec.terminationGracePeriodSeconds).toBe(delaySeconds + timeoutSeconds + 5)
      expect(environment(spec)).toMatchObject({ BREAKWATER_SHUTDOWN_TIMEOUT: `${timeoutSeconds}s` })
      expect(spec.containers[0]?.lifecycle?.preStop.sleep?.seconds ?? 0).toBe(delaySeconds)
    },
  )

  test('waits before SIGTERM on a Kubernetes without a sleep hook', async () => {
    const { containers } = await pod(helm, { kubeVersion: '1.29.0' })
    expect(containers[0]?.lifecycle?.preStop.exec?.command).toEqual([
      'node',
      '--eval',
      'setTimeout(() => {}, 5000)',
    ])
  })

  test('is never stopped before its replacement is ready', async () => {
    const { strategy } = await deployment(helm)
    expect(strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 })
  })

  test('keeps its selector when everything else changes', async () => {
    const [before, after] = [
      await deployment(helm),
      await deployment(helm, {
        values: { ...Object(valuesFiles.get('everything.yaml')), fullnameOverride: '' },
      }),
    ]
    expect(after.selector).toEqual(before.selector)
    expect(after.template.metadata.labels).toMatchObject(after.selector.matchLabels)
  })

  test('spreads over zones and nodes, counting only pods of the current roll-out', async () => {
    const { topologySpreadConstraints: constraints } = await pod(helm, { kubeVersion: '1.27.0' })
    expect(constraints).toHaveLength(2)
    for (const constraint of constraints ?? [])
      expect(constraint).toMatchObject({ matchLabelKeys: ['pod-template-hash'] })
    const { topologySpreadConstraints: older } = await pod(helm, { kubeVersion: '1.26.0' })
    for (const constraint of older ?? []) expect(constraint).not.toHaveProperty('matchLabelKeys')
  })

  test('has a disruption budget when there is more than one replica', async () => {
    const redis = { url: 'redis://redis:6379' }
    const budgets = (objects: readonly { kind: string }[]): number =>
      objects.filter(({ kind }) => kind === 'PodDisruptionBudget').length
    expect(budgets(await helm.render({ values: { redis, replicaCount: 1 } }))).toBe(0)
    expect(budgets(await helm.render({ values: { redis, replicaCount: 2 } }))).toBe(1)
  })
})
