/** NOTES.txt says how to connect, in a way that holds for the values that were given. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chartFolder, describeChart, objectOf, valuesFiles, type Helm } from './chart.ts'

let folder = ''

/** `helm template` leaves the notes out, so a copy of the chart renders them into a ConfigMap. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'breakwater-chart-'))
  await cp(chartFolder, folder, { recursive: true })
  const notes = await readFile(join(chartFolder, 'templates/NOTES.txt'), 'utf8')
  await writeFile(
    join(folder, 'templates/notes.yaml'),
    `{{- define "notes" -}}${notes}{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: notes
data:
  text: {{ include "notes" . | toJson }}
`,
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function notes(helm: Helm, values: unknown): Promise<string> {
  const objects = await helm.render({ values, chart: folder, namespace: 'iot' })
  return (objectOf(objects, 'ConfigMap', 'notes')['data'] as { text: string }).text
}

describeChart('the installation notes of the chart', (helm) => {
  test.each([...valuesFiles])(
    'name the address, the metrics and the rollout with %s',
    async (_, values) => {
      const text = await notes(helm, values)
      expect(text).toMatch(
        /mqtts:\/\/(breakwater|harbour)\.iot\.svc\.(cluster\.local|corp\.example):/,
      )
      expect(text).toMatch(/rollout status deployment\/(breakwater|harbour)/)
      expect(text).toMatch(/port-forward service\/(breakwater|harbour)-admin 9464:/)
      expect(text).toContain('mosquitto_sub')
      expect(text).not.toMatch(/<no value>|%!|\n\n\n/)
    },
  )

  test('tell how to make the users Secret, and ask for a login', async () => {
    const text = await notes(helm, { auth: { passwordSecret: { name: 'people', key: 'all' } } })
    expect(text).toContain('create secret generic people --from-file=all=passwords')
    expect(text).toContain('-u USER -P PASSWORD')
  })

  test('warn of a node without Redis and of anonymous clients', async () => {
    const text = await notes(helm, valuesFiles.get('values-development.yaml'))
    expect(text).toMatch(/WARNING: there is no Redis/)
    expect(text).toMatch(/WARNING: clients without credentials/)
    expect(text).not.toContain('-u USER')
    expect(await notes(helm, valuesFiles.get('values-production.yaml'))).not.toContain('WARNING')
  })

  test('fetch the CA only when the certificate has its own CA', async () => {
    expect(await notes(helm, {})).toContain(
      "get secret breakwater-tls -o jsonpath='{.data.ca\\.crt}'",
    )
    expect(await notes(helm, valuesFiles.get('values-acme.yaml'))).not.toContain('ca.crt')
  })

  test.each([
    ['ClusterIP', 'port-forward service/breakwater 8883:8883'],
    ['NodePort', 'NODE_PORT'],
    ['LoadBalancer', '.status.loadBalancer.ingress[0]'],
  ])('say how to reach a Service of type %s', async (type, hint) => {
    expect(await notes(helm, { service: { type } })).toContain(hint)
  })
})
