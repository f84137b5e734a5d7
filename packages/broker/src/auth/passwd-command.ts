/**
 * `breakwater passwd`: sets or deletes the password of one user in a file. In: the password, twice from the
 * terminal without showing it, or from standard input. Out: the file, replaced as a whole, for its owner alone.
 */
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { text } from 'node:stream/consumers'
import { ConfigError, readNamedFile } from '@breakwater/config'
import { PasswordFile, removeUser, setPassword } from './password-file.ts'
import { askHidden } from './password-prompt.ts'

export interface PasswdOptions {
  readonly delete?: boolean
  readonly stdin?: boolean
}

/** @throws {ConfigError} one line; the file is as it was */
export async function runPasswd(file: string, user: string, options: PasswdOptions): Promise<void> {
  if (options.delete === true && options.stdin === true)
    throw new ConfigError('passwd: --delete needs no password, so no --stdin')
  if (options.delete === true)
    return replaceFile(file, async (before) => removeUser(before, file, user))
  const password = await readPassword(file, user, options.stdin === true)
  return replaceFile(file, async (before) => await setPassword(before, user, password))
}

async function readPassword(file: string, user: string, piped: boolean): Promise<string> {
  if (!piped && process.stdin.isTTY) {
    const first = await askHidden(`Password of ${user}: `)
    if (first === '') throw new ConfigError('passwd: an empty password is none')
    if ((await askHidden('The same again: ')) !== first)
      throw new ConfigError('passwd: the two are not the same; nothing was changed')
    return first
  }
  const password = (await text(process.stdin)).replace(/\r?\n$/, '')
  if (password === '')
    throw new ConfigError(
      `passwd: no password on standard input; try: printf %s "$PASSWORD" | breakwater passwd ${file} ${user}`,
    )
  return password
}

/** A reader sees the file of before or the one of after; two writers do not undo each other. */
async function replaceFile(
  named: string,
  edit: (before: string) => Promise<string>,
): Promise<void> {
  const file = existsSync(named) ? realpathSync(named) : named
  const next = `${file}.new`
  const handle = openNew(next)
  try {
    const before = existsSync(file) ? readNamedFile('passwd', file) : ''
    // A file with a line that no node would read is not made longer.
    PasswordFile.parse(before, file)
    writeFileSync(handle, await edit(before))
    keepOwner(file, next)
    fsyncSync(handle)
    renameSync(next, file)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  } finally {
    closeSync(handle)
  }
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new ConfigError(
      `passwd: ${path} is there: another passwd is at work, or one was ended; remove it if none is`,
      { cause: error },
    )
  }
}

/** The node that reads it may be another user's than the one who calls. */
function keepOwner(file: string, next: string): void {
  const before = statSync(file, { throwIfNoEntry: false })
  if (before === undefined) return
  const { uid, gid } = statSync(next)
  if (before.uid !== uid || before.gid !== gid) chownSync(next, before.uid, before.gid)
}
