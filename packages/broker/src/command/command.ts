/**
 * The `breakwater` command. In: arguments, variables, standard input. Out: what it prints, and the exit code. What
 * a person can mend is one line on standard error and code 1; anything else is a defect and keeps its stack.
 */
import { inspect } from 'node:util'
import {
  ConfigError,
  decideConfig,
  nearestName,
  readNamedFile,
  readSettings,
  type Config,
  type Environment,
} from '@breakwater/config'
import { Command, CommanderError } from 'commander'
import { explainAccess, type ExplainOptions } from '../access/explain-command.ts'
import { runPasswd, type PasswdOptions } from '../auth/passwd-command.ts'
import { ensureDevelopmentCertificates } from '@breakwater/certificates'
import { runImport, type ImportOptions } from '../import/import-command.ts'
import { checkNodeFiles, readNodeFiles } from '../files/node-files.ts'
import { handleSignals } from './signals.ts'
import { startNode, type BreakwaterNode } from '../start-node.ts'
import { VERSION } from '../version.ts'

/** Should something keep the process alive after everything was closed. */
const LAST_RESORT_MS = 500

/** Exit code of `acl explain`; the next one is that of a question without an answer. */
const DENIED = 1

export interface CommandSurroundings {
  /** Default: the variables of the process. */
  readonly environment?: Environment
  /** Default: standard output and standard error. */
  readonly print?: (text: string) => void
  readonly complain?: (text: string) => void
}

/** Runs until the command has ended. @returns the exit code of the process */
export async function runCommand(
  args: readonly string[],
  surroundings: CommandSurroundings = {},
): Promise<number> {
  const {
    print = (line) => void process.stdout.write(line),
    complain = (line) => void process.stderr.write(line),
  } = surroundings
  const codes = { done: 0, failed: 1 }
  const program = createProgram({ environment: surroundings.environment, print, complain, codes })
  try {
    await program.parseAsync(args, { from: 'user' })
    return codes.done
  } catch (error) {
    // It has said already what is wrong, or what it was asked for.
    if (error instanceof CommanderError) return error.exitCode
    complain(isMendable(error) ? `breakwater: ${error.message}\n` : `${inspect(error)}\n`)
    return codes.failed
  }
}

interface ProgramParts extends Required<Pick<CommandSurroundings, 'print' | 'complain'>> {
  readonly environment: Environment | undefined
  /** What the process ends with; a command may say otherwise. */
  readonly codes: { done: number; failed: number }
}

function createProgram({ environment, print, complain, codes }: ProgramParts): Command {
  const say = (line: string): void => print(`${line}\n`)
  const program = new Command('breakwater')
    .description('MQTT over TLS, as a cluster')
    .version(VERSION)
    .option('--config <file>', 'YAML file with settings; BREAKWATER_* variables win')
    .configureOutput({
      writeOut: print,
      writeErr: complain,
      // One line, with the proposal if there is one.
      outputError: (text, write) =>
        write(text.replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?')),
    })
    .exitOverride()
  const readConfig = (): Config =>
    decideConfig(readSettings(environment, program.opts<{ config?: string }>().config))

  program
    .command('serve')
    .description('run a node (default)')
    .action(async () => serve(readConfig()))
  // Without a command it is `serve`; a word that is none is not taken for what belongs to it.
  program.argument('[command]').action(async (word?: string) => {
    if (word === undefined) return serve(readConfig())
    const nearest = nearestName(
      word,
      program.commands.map((command) => command.name()),
    )
    const hint = nearest === undefined ? "see 'breakwater --help'" : `did you mean '${nearest}'?`
    program.error(`error: unknown command '${word}'; ${hint}`)
  })

  program
    .command('check-config')
    .description('say whether the configuration is sound, and exit')
    .action(async () => {
      for (const remark of await checkNodeFiles(readConfig())) say(remark)
      say('configuration is sound')
    })

  program
    .command('dev-certs')
    .description('make a development CA and a server certificate')
    .argument('<dir>', 'directory to write to')
    .action(async (directory: string) => {
      const { caPath, certFile, keyFile } = await ensureDevelopmentCertificates(directory)
      say([caPath, certFile, keyFile].join('\n'))
    })

  program
    .command('passwd')
    .description('set the password of a user, asked for on the terminal, or delete the user')
    .argument('<file>', 'password file; made if it is not there')
    .argument('<user>', 'user name')
    .option('--stdin', 'read the password from standard input, as where that is no terminal')
    .option('--delete', 'remove the user')
    .action((file: string, user: string, options: PasswdOptions) => runPasswd(file, user, options))

  program
    .command('acl')
    .description('access rules')
    .command('explain')
    .description('name the rule that decides; exit code 0: allowed, 1: denied, 2: no answer')
    .exitOverride(({ exitCode, code, message }) => {
      throw new CommanderError(exitCode === 0 ? 0 : DENIED + 1, code, message)
    })
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
      codes.failed = DENIED + 1
      const file = asked.file ?? readConfig().aclFile
      if (file === undefined)
        throw new ConfigError('acl explain: no rules; give --file, or set BREAKWATER_ACL_FILE')
      const text = readNamedFile('BREAKWATER_ACL_FILE', file)
      const [answer = '', ...why] = explainAccess(text, file, asked)
      say([answer, ...why].join('\n'))
      if (!answer.startsWith('allowed')) codes.done = DENIED
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
    .action(async (options: ImportOptions) => say(await runImport(readConfig(), options)))

  program
    .command('version')
    .description('print the version')
    .action(() => say(VERSION))
  return program
}

async function serve(config: Config): Promise<void> {
  const stop = new AbortController()
  const asked = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  let started: BreakwaterNode | undefined
  // A node that starts reads its files anyway.
  handleSignals({ stop: () => stop.abort(), readFiles: () => void started?.readFiles() })
  const files = await readNodeFiles(config)
  const node = await startNode({ config, files, signal: stop.signal }).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
    return undefined
  })
  // It was still waiting for Redis.
  if (node === undefined) {
    setTimeout(() => process.exit(), LAST_RESORT_MS).unref()
    return
  }
  started = node
  await asked
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
