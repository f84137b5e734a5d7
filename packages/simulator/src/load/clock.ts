/**
 * One clock for everything: microseconds since the machine started, as a double. It is the same
 * on every process of a host, so a publisher and a subscriber in two processes can be compared.
 *
 * `performance.now()` costs no allocation but counts from the start of its own process; the
 * difference to the machine's clock is taken once. A sample can only come out too small (the
 * process lost the core between the two reads), so the largest of a few is the true one.
 */
const originUs = ((): number => {
  let origin = Number.NEGATIVE_INFINITY
  for (let sample = 0; sample < 16; sample++) {
    const machineUs = Number(process.hrtime.bigint()) / 1000
    origin = Math.max(origin, machineUs - performance.now() * 1000)
  }
  return origin
})()

/** Now, in microseconds since the machine started. */
export const nowUs = (): number => originUs + performance.now() * 1000
