import type { ClientCertificate } from '@breakwater/certificates'
import type { Refused } from './answer.ts'

/**
 * Why a client may not be who it says it is, where its certificate says who it is; undefined: welcome. The
 * certificate has proved more than a password could, so none is asked for; but a user name that is another one
 * is a contradiction, and never quietly replaced.
 */
export function certificateRefusal(
  { name }: ClientCertificate,
  username: string | undefined,
): Refused | undefined {
  if (name === undefined)
    return { refused: 'not-authorized', detail: 'its certificate holds no name by the rule' }
  if (username !== undefined && username !== name)
    return { refused: 'not-authorized', detail: 'the user name is not that of its certificate' }
  return undefined
}
