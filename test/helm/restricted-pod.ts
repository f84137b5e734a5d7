/** The Pod Security Standard "restricted", as far as a pod without extras can break it. */

interface SecurityContext {
  readonly runAsNonRoot?: boolean
  readonly runAsUser?: number
  readonly privileged?: boolean
  readonly allowPrivilegeEscalation?: boolean
  readonly seccompProfile?: { readonly type: string }
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] }
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string }
}

interface Container {
  readonly name: string
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly ports?: readonly { readonly name: string; readonly hostPort?: number }[]
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly lifecycle?: {
    readonly preStop: {
      readonly sleep?: { readonly seconds: number }
      readonly exec?: { readonly command: readonly string[] }
    }
  }
  readonly securityContext?: SecurityContext
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
}

export interface PodSpec {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly securityContext?: SecurityContext
  readonly terminationGracePeriodSeconds?: number
  readonly topologySpreadConstraints?: readonly object[]
  readonly volumes?: readonly Readonly<Record<string, unknown>>[]
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
}

const volumeKinds = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

/** One line per rule that the pod breaks. */
export function restrictedFaults(pod: PodSpec): readonly string[] {
  const faults: string[] = []
  const require = (holds: boolean, rule: string): void => {
    if (!holds) faults.push(rule)
  }
  require(pod.hostNetwork !== true, 'hostNetwork')
  require(pod.hostPID !== true, 'hostPID')
  require(pod.hostIPC !== true, 'hostIPC')
  for (const volume of pod.volumes ?? []) {
    const kinds = Object.keys(volume).filter((key) => key !== 'name')
    require(kinds.every((kind) => volumeKinds.has(kind)), `volume of kind ${kinds.join()}`)
  }
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    const own = container.securityContext ?? {}
    const context = { ...pod.securityContext, ...own }
    const rule = (name: string): string => `${container.name}: ${name}`
    require(context.runAsNonRoot === true, rule('runAsNonRoot'))
    require(context.runAsUser !== 0, rule('runAsUser 0'))
    require(own.privileged !== true, rule('privileged'))
    require(own.allowPrivilegeEscalation === false, rule('allowPrivilegeEscalation'))
    require(['RuntimeDefault', 'Localhost'].includes(context.seccompProfile?.type ?? ''), rule(
      'seccompProfile',
    ))
    require(own.capabilities?.drop?.includes('ALL') === true, rule('capabilities.drop'))
    require((own.capabilities?.add ?? []).every((name) => name === 'NET_BIND_SERVICE'), rule(
      'capabilities.add',
    ))
    require((container.ports ?? []).every(({ hostPort }) => hostPort === undefined), rule(
      'hostPort',
    ))
  }
  return faults
}
