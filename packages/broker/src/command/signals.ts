/**
 * What a terminal, a supervisor or an operator may send to a node, and what it does then (docs/SIGNALS.md has the
 * list). What is not here does what it does to every process: SIGTSTP stops it until SIGCONT, SIGABRT and the
 * faults end it with a core, SIGPIPE and SIGXFSZ are ignored by Node. SIGTTIN and SIGTTOU stay as they are: with a
 * handler each write to the terminal of others would be tried again for ever.
 */
import { constants } from 'node:os'

type Meaning = 'stop' | 'read-files' | 'nothing'

export const SIGNALS: Readonly<Partial<Record<NodeJS.Signals, Meaning>>> = {
  SIGTERM: 'stop',
  SIGINT: 'stop',
  SIGQUIT: 'stop',
  // How LXC and some others ask their first process to end.
  SIGPWR: 'stop',
  SIGHUP: 'read-files',
  // Without a handler Node would open its debugger, which runs what anybody on the machine sends it.
  SIGUSR1: 'nothing',
  // Without a handler they would end the node at once.
  SIGUSR2: 'nothing',
  SIGALRM: 'nothing',
}

export interface SignalHandlers {
  /** Again, if more than one comes: a second one must not cut short what the first one began. */
  readonly stop: () => void
  readonly readFiles: () => void
}

/** For as long as the process lives. */
export function handleSignals({ stop, readFiles }: SignalHandlers): void {
  for (const [signal, what] of Object.entries(SIGNALS)) {
    // Other systems do not have all of them.
    if (!Object.hasOwn(constants.signals, signal)) continue
    process.on(signal, what === 'stop' ? stop : what === 'read-files' ? readFiles : ignore)
  }
}

function ignore(): void {}
