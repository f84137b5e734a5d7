/** The values schema is closed, covers every value, and both helm versions enforce it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chartFolder, describeChart, nullsOf, readYaml } from './chart.ts'

interface Schema {
  readonly $ref?: string
  readonly $schema?: string
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly definitions?: Readonly<Record<string, Schema>>
}

type Mapping = Readonly<Record<string, unknown>>

const schema = JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8')) as Schema
const values = readYaml(join(chartFolder, 'values.yaml')) as Mapping

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function resolve(part: Schema): Schema {
  if (part.$ref === undefined) return part
  return schema.definitions?.[part.$ref.replace('#/definitions/', '')] ?? {}
}

/** The schema of one path of values, such as `tls.certManager`. */
function schemaAt(path: string): Schema | undefined {
  let part: Schema | undefined = schema
  for (const key of path === '' ? [] : path.split('.')) {
    const next: Schema | undefined = part.properties?.[key]
    if (next === undefined) return undefined
    part = resolve(next)
  }
  return part
}

function valueAt(path: string): Mapping {
  const keys = path === '' ? [] : path.split('.')
  return keys.reduce((part, key) => part[key] as Mapping, values)
}

/** Every mapping in values.yaml with a fixed set of keys, by its path; the root is ''. */
function closedMappings(value: Mapping, path = ''): readonly string[] {
  if (schemaAt(path)?.properties === undefined) return []
  const inner = Object.entries(value).flatMap(([key, item]) =>
    isMapping(item) ? closedMappings(item, path === '' ? key : `${path}.${key}`) : [],
  )
  return [path, ...inner]
}

/** `{ tls: { certManager: leaf } }` for the path `tls.certManager`. */
function nested(path: string, leaf: unknown): unknown {
  return path
    .split('.')
    .toReversed()
    .reduce((inner, key) => ({ [key]: inner }), leaf)
}

function merged(parts: readonly unknown[]): unknown {
  return parts.reduce((left: unknown, right: unknown): unknown => {
    if (!isMapping(left) || !isMapping(right)) return right
    const keys = new Set([...Object.keys(left), ...Object.keys(right)])
    return Object.fromEntries(
      [...keys].map((key) => [key, key in right ? merged([left[key], right[key]]) : left[key]]),
    )
  })
}

const mappings = closedMappings(values)

describe('the values schema', () => {
  test('is JSON Schema draft-07, which helm 3 and helm 4 read alike', () => {
    expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#')
    expect(JSON.stringify(schema)).not.toMatch(/unevaluated|\$defs|dependentRequired/)
  })

  test('closes every mapping, apart from global and maps with typed values', () => {
    const open: string[] = []
    const visit = (part: unknown, path: string): void => {
      if (Array.isArray(part)) return part.forEach((item, index) => visit(item, `${path}/${index}`))
      if (!isMapping(part)) return
      const { type, additionalProperties } = part as Schema
      if (type === 'object' && additionalProperties !== false && !isMapping(additionalProperties))
        open.push(path)
      for (const [key, item] of Object.entries(part)) visit(item, `${path}/${key}`)
    }
    visit(schema, '')
    expect(open).toEqual(['/properties/global'])
  })

  test('has exactly the values of values.yaml', () => {
    for (const path of mappings) {
      const known = Object.keys(schemaAt(path)?.properties ?? {})
      const keys = Object.keys(valueAt(path))
      expect(known, path).toEqual(expect.arrayContaining(keys))
      // These belong to Kubernetes: the schema knows every field, the defaults are a choice of them.
      const isKubernetesType = /^(affinity|podSecurityContext|securityContext)\b/.test(path)
      if (isKubernetesType) continue
      expect([...keys, 'global'], path).toEqual(expect.arrayContaining(known))
    }
  })
})

describeChart('the values schema', (helm) => {
  test('lets a parent chart pass its global values', async () => {
    expect((await helm.template({ values: { global: { any: ['thing'] } } })).exitCode).toBe(0)
  })

  test('refuses a misspelt key in every mapping', async () => {
    expect(mappings.length).toBeGreaterThan(25)
    // Both versions report all violations at once.
    const typo = (path: string): string => `typo_${path.replaceAll('.', '_')}`
    const all = mappings.map((path) =>
      path === '' ? { [typo('')]: 1 } : nested(path, { [typo(path)]: 1 }),
    )
    const refusal = await helm.refusal({ values: merged(all) })
    for (const path of mappings) expect(refusal).toMatch(new RegExp(`\\b${typo(path)}\\b`))
  })

  test.each(['replicaCout', 'redis.uri', 'tls.certManager.issuerRef.names', 'extraEnvs'])(
    'refuses the misspelt value %s',
    async (path) => {
      const key = path.split('.').at(-1) ?? ''
      expect(await helm.refusal({ values: nested(path, 'x') })).toContain(key)
    },
  )

  test.each([
    ['replicaCount', '3'],
    ['replicaCount', -1],
    ['replicaCount', 1.5],
    ['image.pullPolicy', 'Sometimes'],
    ['image.digest', 'sha256:abc'],
    ['redis.url', 'http://redis:6379'],
    ['redis.prefix', 'with space'],
    ['auth.allowAnonymous', 'no'],
    ['auth.clientId', 'enforce'],
    ['tls.certManager.dnsNames', 'mqtt.example.com'],
    ['tls.certManager.duration', '90d'],
    ['tls.certManager.privateKey.algorithm', 'DSA'],
    ['tls.certManager.privateKey.size', 2048],
    ['sessionExpiry', '1 week'],
    ['sessionExpiry', 7],
    ['logLevel', 'verbose'],
    ['shutdown.timeoutSeconds', 0],
    ['service.type', 'ExternalName'],
    ['service.port', 70_000],
    ['serviceMonitor.interval', '30 sec'],
    ['rollout.maxSurge', 0],
    ['podLabels', ['a=b']],
    ['podAnnotations', { a: true }],
    ['resources', { limits: { memory: 'lots' } }],
    ['tolerations', [{ effects: 'NoSchedule' }]],
    ['affinity', { nodeAffinty: {} }],
    ['extraEnv', [{ name: 'A', value: 1 }]],
    ['extraEnv', [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'x' } } }]],
    ['extraVolumes', [{ name: 'host', hostPath: { path: '/' } }]],
  ])('refuses %s: %j and names the value', async (path, value) => {
    const refusal = await helm.refusal({ values: nested(path, value) })
    expect(refusal.replaceAll('/', '.')).toContain(path)
  })

  test('refuses null for values that the templates need, and drops other nulls', async () => {
    const required: unknown[] = []
    const optional: unknown[] = []
    const names: string[] = []
    for (const path of mappings) {
      const { properties = {}, required: needed = [] } = schemaAt(path) ?? {}
      for (const key of Object.keys(valueAt(path))) {
        const part = nested(path === '' ? key : `${path}.${key}`, null)
        if (!needed.includes(key)) optional.push(part)
        else if (resolve(properties[key] ?? {}).properties === undefined) {
          required.push(part)
          names.push(key)
        }
      }
    }
    const refusal = await helm.refusal({ values: merged(required) })
    for (const name of names) expect(refusal).toContain(name)
    const objects = await helm.render({ values: merged(optional) })
    expect(objects.flatMap((object) => nullsOf(object))).toEqual([])
  })
})
