/**
 * What a program of this checkout is started with that is to see nothing else of the environment of the tests. What
 * Node has compiled of its sources is kept for the run: half of what it costs to start one.
 */
export function programEnvironment(): Readonly<Record<string, string>> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env
  return { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) }
}
