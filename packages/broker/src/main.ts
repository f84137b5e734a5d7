#!/usr/bin/env node
/** The `breakwater` command. */
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import {
  ConfigError,
  decideConfig,
  readNamedFile,
  readSettings,
  type Config,
} from '@breakwater/config'
import { Command } from 'commander'
import { explainAccess, type ExplainOptions } from './access/explain-command.ts'
import { parseAdminToken } from './admin/admin-access.ts'
import { AccessRules } from './access/access-rules.ts'
import { PasswordFile, setPassword } from './auth/password-file.ts'
import { ensureDevelopmentCertificates } from './certificates/development.ts'
import { runImport, type ImportOptions } from './import/import-command.ts'
import { makeTlsMaterial, readTlsFiles } from './listen/tls-context.ts'
import { startNode } from './node.ts'
import { redisSettings } from './redis-settings.ts'
import { WrapKey } from './tickets/wrap-key.ts'
import { VERSION } from './version.ts'

/** Should something keep the process alive after everything was closed. */
const LAST_RESORT_MS = 500

const program = new Command('breakwater')
  .description('MQTT over TLS, as a cluster')
  .version(VERSION)
  .option('--config <file>', 'YAML file with settings; BREAKWATER_* variables win')

program
  .command('serve', { isDefault: true })
  .description('run a node (default)')
  .action(async () => serve(readConfig()))

program
  .command('check-config')
  .description('say whether the configuration is sound, and exit')
  .action(() => {
    checkFiles(readConfig())
    console.log('configuration is sound')
  })

program
  .command('dev-certs')
  .description('make a development CA and a server certificate')
  .argument('<dir>', 'directory to write to')
  .action(async (directory: string) => {
    const { caPath, certFile, keyFile } = await ensureDevelopmentCertificates(directory)
    console.log([caPath, certFile, keyFile].join('\n'))
  })

program
  .command('passwd')
  .description('set the password of a user; the password is read from standard input')
  .argument('<file>', 'password file; made if it is not there')
  .argument('<user>', 'user name')
  .action(async (file: string, user: string) => {
    const password = (await text(process.stdin)).replace(/\r?\n$/, '')
    if (password === '')
      throw new ConfigError(
        `passwd: no password on standard input; try: printf %s "$PASSWORD" | breakwater passwd ${file} ${user}`,
      )
    const before = existsSync(file) ? readNamedFile('passwd', file) : ''
    // A file with a line that no node would read is not made longer.
    PasswordFile.parse(before, file)
    writeFileSync(file, await setPassword(before, user, password), { mode: 0o600 })
    chmodSync(file, 0o600)
  })

program
  .command('acl')
  .description('access rules')
  .command('explain')
  .description('name the rule that decides')
  .requiredOption('--topic <topic>', 'topic to publish to, or filter to subscribe to')
  .requiredOption('--action <action>', 'publish or subscribe')
  .requiredOption('--client-id <id>', 'client id')
  .option('--as <user>', 'user name; without it a client without credentials')
  .option('--cn <name>', 'common name of its certificate')
  .option('--uri <uri>', 'URI of its certificate')
  .option('--identity <json>', 'named groups of the identity rule, as JSON')
  .option('--claims <json>', 'claims of its token, as JSON')
  .option('--file <file>', 'rules; default: BREAKWATER_ACL_FILE')
  .action((asked: ExplainOptions) => {
    const file = asked.file ?? readConfig().aclFile
    if (file === undefined)
      throw new ConfigError('acl explain: no rules; give --file, or set BREAKWATER_ACL_FILE')
    console.log(explainAccess(readNamedFile('BREAKWATER_ACL_FILE', file), file, asked).join('\n'))
  })

program
  .command('import')
  .description(
    'take over what an aedes broker has in Redis; its nodes and those of Breakwater are stopped',
  )
  .requiredOption('--from <url>', 'Redis of the aedes broker')
  .option('--from-prefix <prefix>', 'what it puts before its keys')
  .option('--from-password-file <file>', 'password of that Redis')
  .option('--from-ca <file>', 'PEM of the authority that signed its certificate')
  .option(
    '--user-is-client-id',
    'each session belongs to the user that has its client id for a name',
  )
  .option('--dry-run', 'say what would be imported, and write nothing')
  .option('--json', 'report as JSON')
  .action(async (options: ImportOptions) => console.log(await runImport(readConfig(), options)))

program
  .command('version')
  .description('print the version')
  .action(() => console.log(VERSION))

function readConfig(): Config {
  return decideConfig(readSettings(undefined, program.opts<{ config?: string }>().config))
}

/** What `serve` would read: every file that the configuration names, and what is in it. */
function checkFiles({ listeners, passwordFile, aclFile, redis, adminTokenFile }: Config): void {
  for (const { tls } of listeners)
    if (tls !== undefined && tls.pairs.length > 0) makeTlsMaterial(tls, readTlsFiles(tls))
  if (passwordFile !== undefined)
    PasswordFile.parse(readNamedFile('BREAKWATER_PASSWORD_FILE', passwordFile), passwordFile)
  if (aclFile !== undefined)
    AccessRules.parse(readNamedFile('BREAKWATER_ACL_FILE', aclFile), aclFile)
  if (adminTokenFile !== undefined)
    parseAdminToken(readNamedFile('BREAKWATER_ADMIN_TOKEN_FILE', adminTokenFile), adminTokenFile)
  if (redis !== undefined) redisSettings(redis)
  if (redis?.ticketWrapKeyFile !== undefined) WrapKey.read(redis.ticketWrapKeyFile)
}

async function serve(config: Config): Promise<void> {
  const asked = Promise.withResolvers<void>()
  // They stay: a second signal must not cut short what the first one began.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => asked.resolve())
  const node = await startNode({ config })
  await asked.promise
  // Whatever does not end by itself, such as a Redis that does not answer, is left to itself.
  const lastResort = setTimeout(() => process.exit(), config.shutdownTimeoutMs)
  await node[Symbol.asyncDispose]()
  clearTimeout(lastResort)
  // All is closed; what still holds the process is a timer of somebody who waits for an answer.
  setTimeout(() => process.exit(), LAST_RESORT_MS).unref()
}

/** A mistake that the person who called can mend: a setting, or a file that the system refuses. */
function isMendable(error: unknown): error is Error {
  return error instanceof ConfigError || (error instanceof Error && 'syscall' in error)
}

try {
  await program.parseAsync()
} catch (error) {
  // One line for what can be mended; anything else is a defect and keeps its stack.
  if (isMendable(error)) console.error(`breakwater: ${error.message}`)
  else console.error(error)
  process.exitCode = 1
}
