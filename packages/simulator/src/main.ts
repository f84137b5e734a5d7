#!/usr/bin/env node
/**
 * The `fleet` command, as far as any Node reads it: it says which one is needed, and leaves the rest to
 * `fleet-command.ts`. Nothing is imported here, and no syntax is used, that a Node of years ago does not have.
 */
const NODE_MAJOR_MIN = 24

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  console.error(
    `fleet: needs Node ${NODE_MAJOR_MIN} or later, this is Node ${process.versions.node}; install a newer one`,
  )
  process.exitCode = 1
} else {
  void import('./command/fleet-command.ts').then(({ runFleetCommand }) => runFleetCommand())
}
