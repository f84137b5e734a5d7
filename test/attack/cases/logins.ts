/** The identity that a client claims. */
import type { AttackCase, PartyMaker } from '../attack-case.ts'
import { Attacker } from '../attacker.ts'
import { BYSTANDER_ID } from '../bystander.ts'
import { eachTime, many, nextName } from '../parties.ts'
import type { Scene } from '../scene.ts'

interface Credentials {
  readonly clientId?: string
  readonly username: string
  readonly password: string
}

/** CONNECT and whatever follows it, with this user and password, on a connection each. */
function logins(
  credentials: (scene: Scene, index: number) => Promise<Credentials>,
  count: number,
): PartyMaker {
  let strikes = 0
  return eachTime(async (scene) => {
    strikes += 1
    const bytes = await Promise.all(
      many(count, async (index) => {
        const fields = await credentials(scene, strikes * count + index)
        const attacker = await Attacker.connect(scene.node.port, {
          clientId: `${fields.username}:${nextName()}`,
          ...fields,
        })
        await attacker[Symbol.asyncDispose]()
        return attacker.bytes
      }),
    )
    return bytes.reduce((sum, each) => sum + each, 0)
  })
}

function device({ users }: Scene): Promise<Credentials> {
  return Promise.resolve({ username: 'device', password: users['device'] ?? '' })
}

/** Each may be a fetch of keys; behind `jwtKeysFetchesPerMinuteMax` they wait for the next one. */
const FEW_TOKENS = 2

export const loginCases: readonly AttackCase[] = [
  {
    name: 'guessed passwords',
    sends: 'CONNECTs with a wrong password, each under another user name',
    comparedWith: 'CONNECTs of a user with the right password',
    scene: 'accounts',
    attack: logins((_scene, index) => {
      return Promise.resolve({ username: `nobody-${index}`, password: `password of ${index}` })
    }, 20),
    harmless: logins(device, 20),
  },
  {
    name: 'longest passwords',
    sends: 'CONNECTs with the longest user names and passwords of 15 KB, each another one',
    comparedWith: 'CONNECTs of a user with the right password',
    scene: 'accounts',
    attack: logins((_scene, index) => {
      const clientId = nextName()
      const username = `nobody-${index}-`.padEnd(256, 'x')
      return Promise.resolve({ clientId, username, password: 'p'.repeat(15_000) })
    }, 20),
    harmless: logins(device, 20),
  },
  {
    name: 'foreign client ids',
    sends: "CONNECTs of another user with the bystander's client id",
    comparedWith: 'CONNECTs of that user with client ids of their own',
    scene: 'accounts',
    attack: logins(async (scene) => ({ clientId: BYSTANDER_ID, ...(await device(scene)) }), 20),
    harmless: logins(device, 20),
  },
  {
    name: 'tokens of unknown keys',
    sends: 'CONNECTs with tokens that each name another unknown key',
    comparedWith: 'CONNECTs with tokens that are good',
    scene: 'accounts',
    // A fetch costs more than a login, and comes twelve times a minute at most.
    ratioMax: 32,
    attack: logins(async (scene, index) => {
      return { username: 'device', password: await scene.token(`kid-${index}`) }
    }, FEW_TOKENS),
    harmless: logins(
      async (scene) => ({ username: 'device', password: await scene.token() }),
      FEW_TOKENS,
    ),
  },
]
