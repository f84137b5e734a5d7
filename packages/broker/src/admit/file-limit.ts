/**
 * How many connections the system allows: each is an open file. Some are left for what a node needs besides,
 * such as Redis, the HTTP hook, Prometheus and its own files.
 */
import { readFileSync } from 'node:fs'

const RESERVED = 512
/** Where the system does not say, as outside Linux. */
const ASSUMED = 10_240

/**
 * @param asked `connectionsMax`; 0: as many as there may be
 * @param limits the text of `/proc/self/limits`
 */
export function connectionsAllowed(asked: number, limits: string | undefined): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '') ?? []
  const files = soft === 'unlimited' ? Infinity : Number(soft ?? ASSUMED)
  const allowed = files - Math.min(RESERVED, Math.floor(files / 2))
  return asked === 0 ? allowed : Math.min(asked, allowed)
}

/** Undefined where there is no such file. */
export function readProcessLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return undefined
  }
}
