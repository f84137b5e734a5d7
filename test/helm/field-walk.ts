/**
 * Finds what a Kubernetes API server would drop or refuse: fields that a built-in kind does not have,
 * values of another type, nulls. Walks the attribute maps of the official client.
 */
import * as client from '@kubernetes/client-node'
import type { KubernetesObject } from './chart.ts'

interface AttributeMap {
  readonly getAttributeTypeMap: () => readonly { baseName: string; type: string }[]
}

const models = client as unknown as Readonly<Record<string, Partial<AttributeMap> | undefined>>

/** Accepted as they are: unions and dates have no map of their own. */
const opaqueTypes = new Set(['any', 'Date', 'IntOrString', 'V1MicroTime'])

/** Whether the kind is built in; others are custom resources. */
export function isBuiltIn(object: KubernetesObject): boolean {
  return models[modelName(object)]?.getAttributeTypeMap !== undefined
}

/** One line per fault, each starting with its path. */
export function walkFields(object: KubernetesObject): readonly string[] {
  const faults: string[] = []
  walk(modelName(object), object, `${object.kind}/${object.metadata.name}`, faults)
  return faults
}

function modelName({ apiVersion, kind }: KubernetesObject): string {
  const version = apiVersion.slice(apiVersion.lastIndexOf('/') + 1)
  return `${version.charAt(0).toUpperCase()}${version.slice(1)}${kind}`
}

function walk(type: string, value: unknown, path: string, faults: string[]): void {
  const report = (fault: string): void => void faults.push(`${path}: ${fault}`)
  if (value === null) return report('null')
  if (opaqueTypes.has(type)) return
  const element = /^Array<(.*)>$/.exec(type)?.[1]
  if (element !== undefined) {
    if (!Array.isArray(value)) return report('not a list')
    return value.forEach((item, index) => walk(element, item, `${path}[${index}]`, faults))
  }
  if (type === 'string' || type === 'number' || type === 'boolean') {
    if (typeof value !== type) report(`${typeof value} instead of ${type}`)
    return
  }
  if (typeof value !== 'object' || Array.isArray(value)) return report('not a mapping')
  const valueType = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1]
  const fields = valueType === undefined ? attributes(type) : undefined
  for (const [key, item] of Object.entries(value)) {
    const itemType = valueType ?? fields?.get(key)
    if (itemType === undefined) faults.push(`${path}.${key}: no such field in ${type}`)
    else walk(itemType, item, `${path}.${key}`, faults)
  }
}

function attributes(type: string): ReadonlyMap<string, string> {
  const map = models[type]?.getAttributeTypeMap?.()
  if (map === undefined) throw new Error(`the client has no model ${type}`)
  return new Map(map.map(({ baseName, type: fieldType }) => [baseName, fieldType]))
}
