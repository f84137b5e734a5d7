#!/usr/bin/env node
/**
 * The `breakwater` command, as far as any Node reads it: it says which one is needed, and leaves the rest to
 * `command.ts`. Nothing is imported here, and no syntax is used, that a Node of years ago does not have.
 */
const NODE_MAJOR_MIN = 24

// Node's own answer to it is to open its debugger, until somebody else listens. Nothing is loaded before this.
process.on('SIGUSR1', () => undefined)

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  console.error(
    `breakwater: needs Node ${NODE_MAJOR_MIN} or later, this is Node ${process.versions.node}; install a newer one, or use the container image`,
  )
  process.exitCode = 1
} else {
  void import('./command/command.ts')
    .then(({ runCommand }) => runCommand(process.argv.slice(2)))
    .then((code) => {
      process.exitCode = code
    })
}
