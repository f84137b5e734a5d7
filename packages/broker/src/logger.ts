/** The log of a node: JSON lines on standard output, without what must not be read there. */
import type { Config } from '@breakwater/config'
import { destination, pino, type Logger } from 'pino'

export function createLogger(config: Config): Logger {
  return pino(
    {
      level: config.logLevel,
      base: null,
      formatters: { level: (level) => ({ level }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ['password', '*.password', 'url'],
    },
    destination({ dest: 1, sync: false }),
  )
}
