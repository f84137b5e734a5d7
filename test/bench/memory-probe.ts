/**
 * Loaded into a measured Node process before its program (`--expose-gc --import`): collects all
 * garbage when asked over the IPC channel and answers with what is left.
 */
process.on('message', (message) => {
  if (message !== 'collect') return
  // What the first round finalises, the second one frees.
  for (let round = 0; round < 3; round++) globalThis.gc?.()
  process.send?.(process.memoryUsage())
})
process.channel?.unref()
