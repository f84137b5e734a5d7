// Loaded into a measured Node process before its program (`--expose-gc --import`): collects all
// garbage when asked over the IPC channel and answers with what is left. Plain JavaScript, as what
// strips types would take memory of its own.
const ROUNDS = 8 // V8 drops the bytecode of what only the start needed after several of them

process.on('message', (message) => {
  if (message !== 'collect') return
  for (let round = 0; round < ROUNDS; round++) globalThis.gc?.()
  process.send?.(process.memoryUsage())
})
process.channel?.unref()
