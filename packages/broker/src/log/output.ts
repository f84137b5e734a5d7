/**
 * Where the lines of a node go: standard output, as fast as somebody reads it, and no faster.
 *
 * A pipe that nobody reads takes 64 KiB and then nothing; what is written meanwhile waits in the stream. Bounds:
 * `logBufferBytesMax` of it. Further lines are dropped and counted, and a line says how many when there is room
 * again; the last eighth is kept for lines of level error. Nothing waits for it: it is not flushed when the node
 * ends, beyond what the process takes to end.
 */
import type { Writable } from 'node:stream'
import type { Counter } from '@breakwater/metrics'
import type { DestinationStream } from 'pino'

export interface LogOutputOptions {
  readonly stream: Writable
  readonly bytesMax: number
  readonly droppedLines: Counter
  readonly droppedBytes: Counter
}

/** The level stands first. */
const ERROR_LINE = /^\{"level":"(?:error|fatal)"/

export class LogOutput implements DestinationStream {
  readonly #options: LogOutputOptions
  /** Dropped since the last line that said so. */
  #unreported = 0

  constructor(options: LogOutputOptions) {
    this.#options = options
    // A reader that is gone, a disk that is full: the lines are counted where they are written.
    options.stream.on('error', () => undefined)
  }

  write(line: string): void {
    const { stream, bytesMax } = this.#options
    const bytes = Buffer.from(line)
    const room = ERROR_LINE.test(line) ? bytesMax : bytesMax - bytesMax / 8
    // One that has failed for good would keep what it is given.
    if (stream.errored !== null || stream.writableLength + bytes.length > room) {
      this.#drop(bytes.length)
      return
    }
    if (this.#unreported > 0 && stream.writableLength < bytesMax / 2) this.#tell()
    this.#put(bytes)
  }

  #put(bytes: Buffer): void {
    this.#options.stream.write(bytes, (error) => {
      if (error) this.#drop(bytes.length)
    })
  }

  #drop(bytes: number): void {
    this.#unreported += 1
    this.#options.droppedLines.add(1)
    this.#options.droppedBytes.add(bytes)
  }

  #tell(): void {
    const lines = this.#unreported
    this.#unreported = 0
    const facts = { level: 'warn', time: new Date().toISOString(), lines }
    const msg = 'lines of the log were dropped: standard output was not read'
    this.#put(Buffer.from(`${JSON.stringify({ ...facts, msg })}\n`))
  }
}
