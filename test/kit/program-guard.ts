/** Ends a child whose parent was killed before it could: no test run leaves a server behind. */
import { spawn } from 'node:child_process'

const script = 'read -r _; kill -9 "$1" 2>/dev/null; rm -rf -- "$2"'

/**
 * A shell waits on a pipe from this process. When the pipe closes, which happens however this process
 * ends, it kills `pid` and removes the program's directory. The result calls it off; call it before
 * the pid can belong to another process.
 */
export function guardProgram(pid: number, directory: string): () => void {
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', `${pid}`, directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.unref()
  return () => void watcher.kill('SIGKILL')
}
