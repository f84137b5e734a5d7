/**
 * What comes from other nodes, and to whom it goes.
 *
 * In: messages, notices and signals of the bus; changes of the cluster's log; what Redis has forgotten. Out: calls of
 * the stages. Nothing is decided here.
 */
import type { Bus } from '@breakwater/bus'
import type { Cluster, ClusterHandler } from '@breakwater/cluster'
import { isSharedFilter } from '@breakwater/mqtt'
import type { Store } from '@breakwater/store'
import type { Events } from '../observe/events.ts'
import type { Stages } from './stages.ts'

export function handleBus(
  {
    bus,
    cluster,
    events,
  }: { readonly bus: Bus; readonly cluster: Cluster; readonly events: Events },
  { enforcement, router, sessions }: Stages,
): void {
  const { revocations } = enforcement
  bus.onMessage((message) => router.deliverFromNode(message))
  bus.onShared((message) => router.shared.deliverFromBus(message))
  bus.onNotice((from, notice) => {
    if (notice.kind === 'revocation') revocations.stepped(notice)
    else sessions.notice(from, notice)
  })
  bus.onSignal((from, signal) => {
    if (signal.kind === 'assigned') router.shared.membership.look([signal.filter])
    else cluster.confirmedBy(from, signal.version)
  })
  bus.onResync(() => {
    revocations.refresh()
    sessions.resync().catch((error: Error) => events.storeFailed('resync', error))
  })
  bus.onGap((why) => sessions.missed('bus-overflow', why))
}

export interface ClusterChangesOptions {
  readonly store: Store
  readonly bus: Bus
  readonly events: Events
  readonly nodeLeaseMs: number
  readonly isStopping: () => boolean
}

export function clusterHandler(
  { store, bus, events, nodeLeaseMs, isStopping }: ClusterChangesOptions,
  { enforcement, router, sessions }: Stages,
): ClusterHandler {
  const { shared } = router
  const restore = (): void => {
    if (isStopping()) return
    sessions.restore().catch((error: Error) => events.storeFailed('owners', error))
  }
  return {
    routes: (nodeId, added, removed) => {
      for (const filter of removed)
        if (isSharedFilter(filter)) shared.table.deleteNode(filter, nodeId)
        else router.routes.delete(nodeId, filter)
      for (const filter of added)
        if (isSharedFilter(filter)) shared.table.addNode(filter, nodeId)
        else router.routes.add(nodeId, filter)
    },
    left: (nodeId, how) => {
      router.routes.clear(nodeId)
      if (how === 'told-again') shared.table.clearNode(nodeId)
      else shared.membership.gone(nodeId)
      if (how !== 'died') return
      sessions.lookIntoQueues()
      router.retained.audit().catch((error: Error) => events.storeFailed('retained topics', error))
    },
    sessionsChanged: async (clientIds) => {
      for (const session of await store.filtersOf(clientIds)) router.stored.replace(session)
    },
    filtersChanged: async (changed) => {
      for (const [index, found] of (await store.filtersAmong(changed)).entries())
        router.stored.update(changed[index]?.filters ?? [], found)
    },
    topicsChanged: (topics) => router.retained.refresh(topics),
    load: async () => {
      await router.stored.load(store)
      await router.retained.load()
    },
    confirm: (nodeId, version) => bus.tell(nodeId, { kind: 'confirmed', version }),
    adopt: (nodeId, calledOff) => sessions.adopt(nodeId, calledOff),
    forgotten: () => {
      // Once more when whoever was adopting clients of this node has heard that it is back.
      for (const afterMs of [0, nodeLeaseMs]) setTimeout(restore, afterMs).unref()
    },
    leaseLost: () => sessions.missed('lease-lost'),
    heard: () => sessions.lookIntoQueues(),
    storeReplaced: () => {
      events.storeReplaced()
      enforcement.revocations.mayHaveLost()
      sessions.recover().catch((error: Error) => events.storeFailed('sessions', error))
    },
  }
}
