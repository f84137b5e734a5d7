/** The stages that a message passes between its connection and its subscribers: built here, joined in node.ts. */
import type { Config } from '@breakwater/config'
import { AccessControl } from '../auth/access-control.ts'
import type { Backplane } from '../backplane/backplane.ts'
import type { Connection } from '../connection/connection.ts'
import type { NodeFiles } from '../files/node-files.ts'
import type { WatchedFiles } from '../files/watched-files.ts'
import { SessionLifecycle } from '../lifecycle/session-lifecycle.ts'
import type { Events } from '../observe/events.ts'
import { RevocationEnforcement } from '../revocation/revocation-enforcement.ts'
import { Router } from '../route/router.ts'

export interface StagesOptions {
  readonly config: Config
  readonly files: NodeFiles
  readonly watched: WatchedFiles
  readonly events: Events
  readonly backplane: Backplane
  readonly connections: ReadonlySet<Connection>
}

export interface Stages {
  /** Who may stay. */
  readonly enforcement: RevocationEnforcement
  /** Who may come in, and what they may do. */
  readonly access: AccessControl
  /** Who gets a message. */
  readonly router: Router
  /** Who has which session. */
  readonly sessions: SessionLifecycle
}

export function buildStages(
  { config, files, watched, events, backplane, connections }: StagesOptions,
  stack: AsyncDisposableStack,
): Stages {
  const { limits, sharedStrategy } = config
  const { shapesPerNodeMax, inflightMessagesMax } = limits
  const enforcement = new RevocationEnforcement({ limits, connections, events })
  const access = stack.use(
    new AccessControl(config, files, watched, events, enforcement.revocations),
  )
  const router = new Router({
    ...backplane,
    events,
    shapesPerNodeMax,
    sharedStrategy,
    inflightMessagesMax,
  })
  stack.use(router.shared)
  const sessions = new SessionLifecycle({
    ...backplane,
    connections,
    config,
    router,
    events,
    access,
    enforcement,
  })
  access.onRules((rules) => enforcement.rulesChanged(rules, router.sessions.values()))
  return { enforcement, access, router, sessions }
}
