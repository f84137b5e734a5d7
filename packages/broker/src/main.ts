#!/usr/bin/env node
/** The `breakwater` command. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { ConfigError, decideConfig, readSettings, type Config } from '@breakwater/config'
import { Command } from 'commander'
import { setPassword } from './auth/password-file.ts'
import { ensureDevelopmentCertificates } from './certificates/development.ts'
import { loadTlsIdentity } from './listen/tls-context.ts'
import { startNode } from './node.ts'
import { VERSION } from './version.ts'

/** Should something keep the process alive after everything was closed. */
const LAST_RESORT_MS = 3_000

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
    const config = readConfig()
    if (config.tls !== undefined) loadTlsIdentity(config.tls.certFile, config.tls.keyFile)
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
    const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
    writeFileSync(file, await setPassword(before, user, password), { mode: 0o600 })
    chmodSync(file, 0o600)
  })

program
  .command('version')
  .description('print the version')
  .action(() => console.log(VERSION))

function readConfig(): Config {
  return decideConfig(readSettings(undefined, program.opts<{ config?: string }>().config))
}

async function serve(config: Config): Promise<void> {
  const signal = Promise.withResolvers<string>()
  process.once('SIGTERM', () => signal.resolve('SIGTERM'))
  process.once('SIGINT', () => signal.resolve('SIGINT'))
  const node = await startNode({ config })
  await signal.promise
  await node[Symbol.asyncDispose]()
  setTimeout(() => process.exit(), LAST_RESORT_MS).unref()
}

try {
  await program.parseAsync()
} catch (error) {
  // What the operator can mend is one line; anything else is a defect and keeps its stack.
  if (error instanceof ConfigError || (error as { code?: string }).code !== undefined)
    console.error(`breakwater: ${(error as Error).message}`)
  else console.error(error)
  process.exitCode = 1
}
