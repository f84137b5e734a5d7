/** The chart as helm sees it: lint, render, and the errors of both. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import {
  helmBinary,
  helmFetchTimeoutMs,
  helmMissingReason,
  helmVersions,
  toolsFolder,
  type HelmVersion,
} from './helm-binary.ts'

const helmFolder = resolve(import.meta.dirname, '../../helm')
export const chartFolder: string = join(helmFolder, 'breakwater')

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly [field: string]: unknown }
  readonly [field: string]: unknown
}

export interface Rendering {
  /** A map of values, as a values file would hold it. */
  readonly values?: unknown
  readonly release?: string
  readonly namespace?: string
  readonly kubeVersion?: string
  /** Another folder than the chart's own. */
  readonly chart?: string
}

interface HelmResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Helm {
  readonly version: HelmVersion
  readonly lint: (values: unknown) => Promise<HelmResult>
  readonly template: (rendering?: Rendering) => Promise<HelmResult>
  /** The rendered objects; fails the test when helm does. */
  readonly render: (rendering?: Rendering) => Promise<readonly KubernetesObject[]>
  /** What helm complains about; fails the test when it renders. */
  readonly refusal: (rendering: Rendering) => Promise<string>
}

/** One `describe` per helm version, or one named skip where helm cannot run. */
export function describeChart(title: string, body: (helm: Helm) => void): void {
  const missing = helmMissingReason()
  if (missing !== undefined) {
    test(title, (context) => context.skip(missing))
    return
  }
  describe.each(helmVersions)(`${title} (helm %s)`, (version) => {
    let program = ''
    beforeAll(async () => {
      program = await helmBinary(version)
    }, helmFetchTimeoutMs)
    body(helmOf(version, (args, input) => runHelm(program, args, input)))
  })
}

function helmOf(
  version: HelmVersion,
  call: (args: readonly string[], input: string) => Promise<HelmResult>,
): Helm {
  const template = (rendering: Rendering = {}): Promise<HelmResult> =>
    call(templateArguments(rendering), JSON.stringify(rendering.values ?? {}))
  // Many tests look at the same rendering from different sides.
  const rendered = new Map<string, Promise<readonly KubernetesObject[]>>()
  return {
    version,
    template,
    lint: (values) => call(['lint', '--strict', '-f', '-', chartFolder], JSON.stringify(values)),
    render: (rendering) => {
      const key = JSON.stringify(rendering)
      const known = rendered.get(key) ?? renderObjects(template, rendering)
      rendered.set(key, known)
      return known
    },
    refusal: async (rendering) => {
      const { exitCode, stderr } = await template(rendering)
      if (exitCode === 0) throw new Error('helm rendered values that it should refuse')
      return stderr
    },
  }
}

async function renderObjects(
  template: Helm['template'],
  rendering: Rendering | undefined,
): Promise<readonly KubernetesObject[]> {
  const { exitCode, stdout, stderr } = await template(rendering)
  if (exitCode !== 0) throw new Error(`helm template: ${stderr}`)
  return parseObjects(stdout)
}

function templateArguments(rendering: Rendering): readonly string[] {
  const { release = 'breakwater', namespace = 'iot', kubeVersion, chart } = rendering
  const version = kubeVersion === undefined ? [] : ['--kube-version', kubeVersion]
  return ['template', release, chart ?? chartFolder, '-n', namespace, '-f', '-', ...version]
}

async function runHelm(
  program: string,
  args: readonly string[],
  input: string,
): Promise<HelmResult> {
  const home = join(toolsFolder, 'helm-home')
  const child = spawn(program, args, {
    stdio: 'pipe',
    env: {
      PATH: process.env['PATH'],
      HELM_CACHE_HOME: home,
      HELM_CONFIG_HOME: home,
      HELM_DATA_HOME: home,
      KUBECONFIG: '/dev/null',
    },
  })
  const exit = new Promise<number | null>((settle, fail) => {
    child.once('error', fail)
    child.once('close', settle)
  })
  child.stdin.end(input)
  const [exitCode, stdout, stderr] = await Promise.all([
    exit,
    text(child.stdout),
    text(child.stderr),
  ])
  return { exitCode, stdout, stderr }
}

function parseObjects(yaml: string): readonly KubernetesObject[] {
  return parseAllDocuments(yaml, { version: '1.1' }).flatMap((document) => {
    const [error] = document.errors
    if (error !== undefined) throw error
    const object = document.toJS() as KubernetesObject | null
    return object === null ? [] : [object]
  })
}

/** @throws {Error} there is not exactly one such object */
export function objectOf(
  objects: readonly KubernetesObject[],
  kind: string,
  name?: string,
): KubernetesObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  )
  const [object] = found
  if (object === undefined || found.length > 1)
    throw new Error(`${found.length} objects of kind ${kind} ${name ?? ''}`)
  return object
}

/** The path of every null in a value: helm renders one where a template forgets to ask. */
export function nullsOf(value: unknown, path = ''): readonly string[] {
  if (value === null) return [path]
  if (typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, item]) => nullsOf(item, `${path}/${key}`))
}

/** Every set of values that is published or made for the tests, by a name for test titles. */
export const valuesFiles: ReadonlyMap<string, unknown> = new Map([
  ['the defaults', {}],
  ...[join(helmFolder, 'examples'), join(import.meta.dirname, 'values')].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.yaml'))
      .sort()
      .map((file): [string, unknown] => [basename(file), readYaml(join(folder, file))]),
  ),
])

export function readYaml(path: string): unknown {
  return parse(readFileSync(path, 'utf8'))
}
