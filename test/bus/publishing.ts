/** One message to some nodes, and what a node heard. */
import { Message, type Bus } from '@breakwater/bus'

export function message(payload: string): Message {
  return new Message('t', Buffer.from(payload), 1, false)
}

/** Undefined, or why not. */
export function published(
  from: Bus,
  payload: string,
  ...targets: readonly Bus[]
): Promise<string | undefined> {
  const ids = targets.map(({ nodeId }) => nodeId)
  return new Promise((resolve) =>
    from.publish(message(payload), ids, (error) => resolve(error?.message)),
  )
}

export function heardBy(bus: Bus): string[] {
  const heard: string[] = []
  bus.onMessage(({ payload }) => heard.push(payload.toString()))
  return heard
}

export function gapsOf(bus: Bus): string[] {
  const gaps: string[] = []
  bus.onGap((why) => gaps.push(why))
  return gaps
}
