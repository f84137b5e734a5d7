/** Why a process may not take part in a cluster now; one line that says what to do. */
import { FORMAT } from './scripts.ts'

export class JoinRefused extends Error {
  override readonly name = 'JoinRefused'

  /** A later version has been there. */
  static format(stored: string): JoinRefused {
    return new JoinRefused(
      `what is stored there has format ${stored}, and this version knows up to ${FORMAT}: start a newer version`,
    )
  }

  static import(): JoinRefused {
    return new JoinRefused(
      'an import is under way there, or was killed less than 15 s ago: start again when it has ended',
    )
  }

  /** This node does not read what another one writes. */
  static reads(node: string, form: string, version: number): JoinRefused {
    return new JoinRefused(
      `node ${node} writes ${form} version ${version}, which this version does not read: start a newer version`,
    )
  }

  /** Another node does not read what this one writes. */
  static writes(node: string, form: string, version: number): JoinRefused {
    return new JoinRefused(
      `node ${node} does not read ${form} version ${version}, which this version writes: replace that node first, by a version between the two`,
    )
  }
}
