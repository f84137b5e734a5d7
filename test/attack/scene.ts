/** Where attacks take place: nodes as they are by default, each a process with the heap of the chart. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { limitDeclarations, limitVariable } from '@breakwater/config'
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { startHttpService } from '../access/http-service.ts'
import { spawnNode, type NodeOptions, type NodeProcess } from '../kit/node.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { randomOf, type Random } from '../soak/random.ts'
import { Bystander } from './bystander.ts'

export type SceneName = 'alone' | 'accounts' | 'cluster'

export interface Scene extends AsyncDisposable {
  /** The one that is attacked. */
  readonly node: NodeProcess
  /** Of all that cases draw. */
  readonly random: Random
  readonly ports: { readonly ws: number; readonly proxy: number }
  readonly bystander: Bystander
  /** Passwords by user, where there are users: the bystander, and one more. */
  readonly users: Readonly<Record<string, string>>
  /** A valid token, or one with an unknown key. */
  token(kid?: string): Promise<string>
  /** MiB of Redis, where there is one. */
  redisMib(): Promise<number | undefined>
  /** Nodes of the cluster that were declared dead so far. */
  deaths(): Promise<number>
}

/** The heap of the chart's pod. */
const HEAP_MIB = 384
const LISTEN = [
  'mqtt://127.0.0.1:0',
  'mqtts://127.0.0.1:0',
  'ws://127.0.0.1:0/mqtt',
  'mqtt://127.0.0.1:0?proxy=127.0.0.1',
]
const WS = 2
const PROXY = 3
const MIB = 1_048_576
/** Everything else is refused: to publish, and to subscribe. */
const RULES = "rules: [{ allow: [publish, subscribe], topics: ['free/#', 'bystander/#'] }]\n"
const directory = temporaryDirectory('attack-')
/** What the test kit changes, so that a slow machine fails no test: here it is as it is by default. */
const DEFAULTS = ['logLinesPerSecondMax', 'logLinesPerClientPerSecondMax'] as const

export function startScene(name: SceneName, seed: number): Promise<Scene> {
  const random = randomOf(seed, name)
  return name === 'cluster' ? startClustered(random) : startAlone(name, random)
}

async function startAlone(name: 'alone' | 'accounts', random: Random): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const hasUsers = name === 'accounts'
  const users: Record<string, string> = hasUsers
    ? { bystander: 'its password', device: 'another one' }
    : {}
  const tokens = hasUsers ? stack.use(await startTokenIssuer()) : undefined
  const node = stack.use(
    await spawnNode({
      ...optionsOf(
        tokens === undefined
          ? {}
          : { ...tokens.environment, BREAKWATER_CLIENT_ID: '${username}:*' },
      ),
      ...(hasUsers ? { users } : {}),
    }),
  )
  // Its output is not read.
  node.process.stdout?.pause()
  const address = { host: node.host, port: node.port }
  const password = users['bystander']
  const credentials =
    password === undefined ? {} : { credentials: { username: 'bystander', password } }
  const bystander = stack.use(
    await Bystander.start({ publishesAt: address, receivesAt: address, ...credentials }),
  )
  return sceneOf({ random, node, bystander, users, tokens, resources: stack.move() })
}

async function startClustered(random: Random): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: ['--save', ''] }))
  const settings = { ...optionsOf(), redisUrl: redis.url, redisPrefix: redis.prefix }
  // One after the other: the first one makes the development CA.
  const node = stack.use(await spawnNode(settings))
  const other = stack.use(await spawnNode(settings))
  const bystander = stack.use(
    await Bystander.start({
      publishesAt: { host: other.host, port: other.port },
      receivesAt: { host: node.host, port: node.port },
    }),
  )
  return sceneOf({ random, node, bystander, users: {}, redis, resources: stack.move() })
}

interface Parts {
  readonly random: Random
  readonly node: NodeProcess
  readonly bystander: Bystander
  readonly users: Readonly<Record<string, string>>
  readonly tokens?: TokenIssuer | undefined
  readonly redis?: TestRedis
  readonly resources: AsyncDisposableStack
}

function sceneOf({ random, node, bystander, users, tokens, redis, resources }: Parts): Scene {
  const client =
    redis === undefined
      ? undefined
      : resources.adopt(new Redis(redis.url), (connection) => connection.disconnect())
  return {
    random,
    node,
    ports: { ws: node.ports[WS] ?? 0, proxy: node.ports[PROXY] ?? 0 },
    bystander,
    users,
    async token(kid) {
      if (tokens === undefined) throw new Error('this scene has no tokens')
      return tokens.issue(kid)
    },
    async redisMib() {
      const info = await client?.info('memory')
      const bytes = /^used_memory:(\d+)/m.exec(info ?? '')?.[1]
      return bytes === undefined ? undefined : Number(bytes) / MIB
    },
    async deaths() {
      if (redis === undefined || client === undefined) return 0
      const entries = await client.xrange(keysWith(redis.prefix).clusterLog, '-', '+')
      return entries.filter(([, fields]) => fields.some((text) => text.includes('"died":true')))
        .length
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function optionsOf(environment: Readonly<Record<string, string>> = {}): NodeOptions {
  const rules = join(directory, 'rules.yaml')
  writeFileSync(rules, RULES)
  const limits = DEFAULTS.map((limit) => [
    limitVariable(limit),
    String(limitDeclarations[limit].default),
  ])
  return {
    listen: LISTEN,
    environment: {
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}`,
      BREAKWATER_LOG_LEVEL: 'info',
      BREAKWATER_ACL_FILE: rules,
      ...(Object.fromEntries(limits) as Record<string, string>),
      ...environment,
    },
  }
}

interface TokenIssuer extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>
  issue(kid: string | undefined): Promise<string>
}

/** Serves its keys over HTTP, as an identity provider does. */
async function startTokenIssuer(): Promise<TokenIssuer> {
  const [known, unknown] = await Promise.all([keyPair(), keyPair()])
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(known.publicKey)), kid: 'known' }] })
  const service = await startHttpService((response) => response.end(keys))
  return {
    environment: { BREAKWATER_JWT_KEYS: service.url, BREAKWATER_JWT_AUDIENCE: 'mqtt' },
    issue: (kid) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'EdDSA', kid: kid ?? 'known' })
        .setSubject('device')
        .setAudience('mqtt')
        .setExpirationTime('1h')
        .sign((kid === undefined ? known : unknown).privateKey),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}

function keyPair(): ReturnType<typeof generateKeyPair> {
  return generateKeyPair('EdDSA', { extractable: true })
}
