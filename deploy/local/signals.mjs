// One stop request, however often it arrives: a terminal signals the whole group, and npm forwards
// the same signal once more. A second one after a pause is the user's impatience, and counts.
const repeatMs = 1_000
const parentPollMs = 500

/** Calls `stop` with SIGINT or SIGTERM; a closed terminal (SIGHUP) stops like SIGTERM. */
export function forwardSignals(stop) {
  let last = -Infinity
  const request = (meaning) => {
    const now = performance.now()
    if (now - last < repeatMs) return
    last = now
    stop(meaning)
  }
  process.on('SIGINT', () => request('SIGINT'))
  process.on('SIGTERM', () => request('SIGTERM'))
  process.on('SIGHUP', () => request('SIGTERM'))
  if (process.env.npm_lifecycle_event !== undefined) onParentGone(() => request('SIGTERM'))
}

// A signal to npm ends the shell between npm and this process, and goes no further.
function onParentGone(stop) {
  const parent = process.ppid
  const poll = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(poll)
    stop()
  }, parentPollMs)
  poll.unref()
}
