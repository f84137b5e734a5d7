/** A disk that takes for ever to sync, for one Redis: the thread that syncs its append-only file is stopped. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { findProgram } from './program.ts'

/** PTRACE_ATTACH stops one thread of a process; SIGSTOP would stop all. Perl can call it. */
const SCRIPT = `$| = 1;
syscall(shift, 16, shift() + 0, 0, 0) == 0 or die "ptrace: $!";
print "held\\n";
<STDIN>;`
const PTRACE: Readonly<Record<string, number>> = { x64: 101, arm64: 117 }

export interface SlowDisk {
  /** The thread goes on, unless its process is gone. */
  release(): Promise<void>
}

/** Why a test cannot have one here. */
export function missingForSlowDisk(): string | undefined {
  if (findProgram('perl') === undefined) return 'perl not installed'
  return process.getuid?.() === 0 ? undefined : 'only root may stop a thread'
}

/** @throws {Error} this system does not allow a thread to be stopped */
export async function slowDown(pid: number): Promise<SlowDisk> {
  const tasks = `/proc/${pid}/task`
  const thread = readdirSync(tasks).find((id) =>
    readFileSync(`${tasks}/${id}/comm`, 'utf8').startsWith('bio_aof'),
  )
  const number = PTRACE[process.arch]
  if (thread === undefined || number === undefined) throw new Error('no such thread here')
  const holder = spawn(findProgram('perl') ?? '', ['-e', SCRIPT, `${number}`, thread], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const gone = once(holder, 'exit')
  const first = await Promise.race([once(holder.stdout, 'data'), gone])
  if (!Buffer.isBuffer(first[0])) throw new Error('the thread that syncs cannot be stopped')
  return {
    async release(): Promise<void> {
      holder.stdin.end()
      await gone
    },
  }
}
