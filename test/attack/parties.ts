/** The ways in which a party does its work, for cases to be written down with. */
import type { ConnectFields } from '../kit/wire-encoder.ts'
import type { Party, PartyMaker } from './attack-case.ts'
import { Attacker } from './attacker.ts'
import type { Scene } from './scene.ts'

let lastName = 0

/** A client id of its own; what is made of it is as long each time. */
export function nextName(): string {
  lastName += 1
  return `client-${String(lastName).padStart(6, '0')}`
}

const nothing = (): Promise<void> => Promise.resolve()

/** Each strike is whatever this does; it holds nothing between strikes. */
export function eachTime(strike: (scene: Scene) => Promise<number>): PartyMaker {
  return (scene) => Promise.resolve({ strike: () => strike(scene), [Symbol.asyncDispose]: nothing })
}

export interface Talk {
  /** Client id: one of its own each time. */
  readonly connect?: ConnectFields
  readonly frames: readonly Uint8Array[]
}

/** A connection for each strike, which sends this and waits until it has been dealt with. */
export function talks({ connect = {}, frames }: Talk): PartyMaker {
  const bytes = Buffer.concat(frames)
  return eachTime(async ({ node }) => {
    const fields = { clientId: nextName(), ...connect }
    await using attacker = await Attacker.connect(node.port, fields)
    attacker.send(bytes)
    await attacker.settled()
    return attacker.bytes
  })
}

export interface Stay {
  readonly connect?: ConnectFields
  /** Sent once, before anything is measured. */
  readonly before?: readonly Uint8Array[]
  readonly frames: readonly Uint8Array[]
}

/** One connection for all strikes; another one like it where the node has closed it. */
export function stays({ connect = {}, before = [], frames }: Stay): PartyMaker {
  const bytes = Buffer.concat(frames)
  return async ({ node }): Promise<Party> => {
    const open = async (): Promise<Attacker> => {
      const fields = { clientId: nextName(), ...connect }
      const opened = await Attacker.connect(node.port, fields)
      opened.send(...before)
      await opened.settled()
      return opened
    }
    let attacker = await open()
    return {
      async strike() {
        if (attacker.ended) attacker = await open()
        const sentBefore = attacker.bytes
        attacker.send(bytes)
        await attacker.settled()
        return attacker.bytes - sentBefore
      },
      [Symbol.asyncDispose]: () => attacker[Symbol.asyncDispose](),
    }
  }
}

/** As many at once, each with all that it does. */
export function crowdOf(count: number, maker: PartyMaker): PartyMaker {
  return async (scene): Promise<Party> => {
    const parties = await Promise.all(Array.from({ length: count }, () => maker(scene)))
    return {
      async strike() {
        const bytes = await Promise.all(parties.map((party) => party.strike()))
        return bytes.reduce((sum, each) => sum + each, 0)
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(parties.map((party) => party[Symbol.asyncDispose]()))
      },
    }
  }
}

/** `count` times what this makes. */
export function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
