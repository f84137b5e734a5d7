/** The Docker engine of this machine, if it has one that answers. */
export interface DockerEngine {
  /** `host` where the engine runs without a bridge: containers then share this machine's ports. */
  readonly network: 'bridge' | 'host'
}

let found: Promise<DockerEngine | undefined> | undefined

export function findDockerEngine(): Promise<DockerEngine | undefined> {
  found ??= ask()
  return found
}

/** Set by a program that started an engine without a bridge (.ci/run does). */
export function dockerEngineNetwork(): DockerEngine['network'] {
  return process.env['BREAKWATER_TEST_DOCKER_NETWORK'] === 'host' ? 'host' : 'bridge'
}

async function ask(): Promise<DockerEngine | undefined> {
  // Half a second to load: only where an engine is asked for.
  const { getContainerRuntimeClient } = await import('testcontainers')
  try {
    await getContainerRuntimeClient()
    return { network: dockerEngineNetwork() }
  } catch {
    // testcontainers tries every socket and context it knows before it says so.
    return undefined
  }
}
