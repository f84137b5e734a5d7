/**
 * Names of devices: `{{i}}` the index, `{{i|pad 6}}` the same with leading zeros, `{{id}}` the
 * client id, `{{run}}` the id of this run.
 */
import { InputError } from './input-error.ts'

export interface TemplateValues {
  readonly i: number
  readonly run: string
  readonly id?: string
}

const PLACEHOLDER = /\{\{\s*([a-z]+)\s*(?:\|\s*pad\s+(\d{1,2})\s*)?\}\}/g
const KNOWN = ['i', 'id', 'run']

/** Says in one line what is wrong with a template, naming the option it came from. */
export const checkTemplate = (
  option: string,
  template: string,
  allowed: readonly string[] = KNOWN,
): void => {
  for (const [placeholder, name = ''] of template.matchAll(PLACEHOLDER)) {
    if (!allowed.includes(name)) {
      const names = allowed.map((name) => `{{${name}}}`).join(', ')
      throw new InputError(`${option}: ${placeholder} is not known here (use ${names})`)
    }
  }
  if (template.replaceAll(PLACEHOLDER, '').includes('{{')) {
    throw new InputError(`${option}: "${template}" has an unfinished {{placeholder}}`)
  }
}

/** Whether every device gets a name of its own. */
export const isPerDevice = (template: string): boolean =>
  [...template.matchAll(PLACEHOLDER)].some(([, name]) => name === 'i' || name === 'id')

/** Fills a template in for one device. */
export const renderTemplate = (template: string, values: TemplateValues): string =>
  template.replaceAll(PLACEHOLDER, (_, name: string, width: string | undefined) => {
    const value = name === 'i' ? String(values.i) : name === 'id' ? values.id : values.run
    return (value ?? '').padStart(Number(width ?? 0), '0')
  })

/** The filter that matches a topic template for every device: a level that differs becomes `+`. */
export const wildcardFilter = (template: string, run: string): string =>
  template
    .split('/')
    .map((level) => (isPerDevice(level) ? '+' : renderTemplate(level, { i: 0, run })))
    .join('/')
