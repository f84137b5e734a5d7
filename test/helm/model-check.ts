/**
 * Validates an object with the generated model of its kind, custom resources included: types,
 * required fields, enumerations, patterns.
 *
 * Those validators let unknown fields pass. But they are compiled from the schema, so they read every
 * field that it knows, present or not; a field of ours that was never read is one it does not know.
 */
import type { KubernetesObject } from './chart.ts'

/** Where models of API groups outside Kubernetes come from. */
const packages: Readonly<Record<string, string>> = {
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
}

interface Model {
  readonly prototype: { readonly validate: (this: unknown) => void }
}

/** One line per fault. */
export async function checkModel(object: KubernetesObject): Promise<readonly string[]> {
  const { prototype } = await findModel(object)
  const unread: (() => readonly string[])[] = []
  const watched = watch(object, `${object.kind}/${object.metadata.name}`, unread)
  const faults: string[] = []
  try {
    prototype.validate.call(watched)
  } catch (error) {
    faults.push(`${object.kind}/${object.metadata.name}: ${(error as Error).message}`)
  }
  return [...faults, ...unread.flatMap((fields) => fields())]
}

async function findModel({ apiVersion, kind }: KubernetesObject): Promise<Model> {
  const [group = ''] = apiVersion.split('/')
  const module = (await import(
    `${packages[group] ?? 'kubernetes-models'}/${apiVersion}`
  )) as Readonly<Record<string, Model | undefined>>
  const model = module[kind]
  if (model === undefined) throw new Error(`no model of ${apiVersion} ${kind}`)
  return model
}

/** A copy that notes which fields are read; `unread` answers after the validator has run. */
function watch(value: unknown, path: string, unread: (() => readonly string[])[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value))
    return value.map((item, index) => watch(item, `${path}[${index}]`, unread))
  const read = new Set<string | symbol>()
  let enumerated = false
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, watch(item, `${path}.${key}`, unread)]),
  )
  unread.push(() => {
    // Enumerated: a map with free keys. Nothing read at all: the schema leaves this value open.
    if (enumerated || read.size === 0) return []
    return Object.keys(value)
      .filter((key) => !read.has(key))
      .map((key) => `${path}.${key}: no such field`)
  })
  return new Proxy(copy, {
    get: (target, key) => {
      read.add(key)
      return Reflect.get(target, key) as unknown
    },
    ownKeys: (target) => {
      enumerated = true
      return Reflect.ownKeys(target)
    },
  })
}
