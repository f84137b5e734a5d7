/** The log of a node: JSON lines on standard output, without what must not be read there. */
import type { Config } from '@breakwater/config'
import { pino, type Logger } from 'pino'
import type { BrokerInstruments } from '../observe/instruments.ts'
import { LogOutput } from './output.ts'

export function createLogger({ logLevel, limits }: Config, instruments: BrokerInstruments): Logger {
  return pino(
    {
      level: logLevel,
      base: null,
      formatters: { level: (level) => ({ level }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ['password', '*.password', 'url'],
    },
    new LogOutput({
      stream: process.stdout,
      bytesMax: limits.logBufferBytesMax,
      droppedLines: instruments.counter('log_lines_dropped_total').cell(),
      droppedBytes: instruments.counter('log_dropped_bytes_total').cell(),
    }),
  )
}
