// Ends children whose parent was ended so hard (SIGKILL) that it could not do it itself: a shell
// waits on a pipe from this process, and the pipe closes when this process is gone, however it went.
import { spawn } from 'node:child_process'

const script = 'read -r _; kill "$1" 2>/dev/null; [ -z "$2" ] || rm -rf -- "$2"'

/** Watches `pid` and, if given, its temporary directory; the result calls the watch off. */
export function guard(pid, directory = '') {
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', `${pid}`, directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.unref()
  watcher.stdin.unref()
  process.once('exit', release)
  return release

  function release() {
    process.off('exit', release)
    watcher.kill('SIGKILL')
  }
}
