/** Why a process may not take part in a cluster now; one line that says what to do. */
import { FORMAT } from './scripts.ts'

export class JoinRefused extends Error {
  override readonly name = 'JoinRefused'

  /** `stored`: the format that is stored, where that is the reason. */
  constructor(why: 'format' | 'import', stored: string) {
    super(
      why === 'format'
        ? `what is stored there has format ${stored}, and this version knows up to ${FORMAT}: start a newer version`
        : 'an import is under way there, or was killed less than 15 s ago: start again when it has ended',
    )
  }
}
