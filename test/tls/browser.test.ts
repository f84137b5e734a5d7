/** MQTT.js in a page, in headless Chromium, over wss: what a dashboard does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { guardProgram } from '../kit/program-guard.ts'
import { skipWithout } from '../kit/program.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

const library = readFileSync(
  join(dirname(createRequire(import.meta.url).resolve('mqtt/package.json')), 'dist/mqtt.min.js'),
)

/** Connects, sends itself a message of each QoS, and says what came. */
const page = (url: string): string => `<!doctype html><script src="/mqtt.js"></script><script>
const say = (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) })
const client = mqtt.connect('${url}', { reconnectPeriod: 0, connectTimeout: 10000 })
const got = []
client.on('error', (error) => say({ error: String(error) }))
client.on('close', () => say({ error: 'closed' }))
client.on('message', (topic, payload) => {
  got.push(payload.toString())
  if (got.length === 3) say({ got })
})
client.on('connect', async () => {
  await client.subscribeAsync('page', { qos: 2 })
  for (const qos of [0, 1, 2]) await client.publishAsync('page', 'qos ' + qos, { qos })
})
</script>`

it.for([
  ['that the listener allows', true],
  ['that the listener does not allow', false],
] as const)('a browser page of an origin %s', { timeout: 60_000 }, async ([, named], context) => {
  const [program] = skipWithout(context, 'chromium')
  const { promise: result, resolve } = Promise.withResolvers<string>()
  const target = { url: '' }
  const pages = createServer((request, response) => {
    if (request.url === '/result') void text(request).then(resolve)
    response.end(request.url === '/mqtt.js' ? library : page(target.url))
  }).listen(0, '127.0.0.1')
  await once(pages, 'listening')
  const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`
  await using node = await startNode({
    listen: [`wss://127.0.0.1:0/mqtt?origin=${named ? origin : 'https://fleet.example'}`],
  })
  target.url = `wss://127.0.0.1:${node.ports[0]}/mqtt`
  const profile = temporaryDirectory('chromium-')
  const browser = spawn(
    program,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-dev-shm-usage',
      '--ignore-certificate-errors',
      `--user-data-dir=${profile}`,
      '--remote-debugging-port=0',
      `${origin}/`,
    ],
    { stdio: 'ignore' },
  )
  await once(browser, 'spawn')
  const unguard = guardProgram(browser.pid as number, profile)
  try {
    const outcome = JSON.parse(await result) as unknown
    if (named) expect(outcome).toEqual({ got: ['qos 0', 'qos 1', 'qos 2'] })
    else {
      expect(outcome).toHaveProperty('error')
      await node.logged(({ detail }) => detail === 'a page of another origin')
    }
  } finally {
    const gone = once(browser, 'exit')
    browser.kill('SIGTERM')
    await gone
    unguard()
    pages.close()
  }
})
