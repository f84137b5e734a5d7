import { Writable } from 'node:stream'
import { Counter } from '@breakwater/metrics'
import { describe, expect, it } from 'vitest'
import { LogOutput } from './output.ts'

const info = `{"level":"info","msg":"${'x'.repeat(100)}"}\n`
const error = `{"level":"error","msg":"${'x'.repeat(100)}"}\n`

/** Takes nothing until it is read, and then everything. */
class Pipe extends Writable {
  readonly lines: string[] = []
  #isRead = false
  #waiting: (() => void) | undefined

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const take = (): void => {
      this.lines.push(chunk.toString())
      done()
    }
    if (this.#isRead) take()
    else this.#waiting = take
  }

  read(): void {
    this.#isRead = true
    this.#waiting?.()
  }
}

function outputTo(stream: Writable, bytesMax = 16_384) {
  const droppedLines = new Counter()
  const droppedBytes = new Counter()
  return {
    output: new LogOutput({ stream, bytesMax, droppedLines, droppedBytes }),
    droppedLines,
    droppedBytes,
  }
}

describe('standard output', () => {
  it('that is not read buffers a bounded number of bytes, the last eighth for errors, and counts and reports dropped lines', async () => {
    const pipe = new Pipe()
    const { output, droppedLines, droppedBytes } = outputTo(pipe)
    for (let count = 0; count < 10_000; count += 1) output.write(info)
    expect(pipe.writableLength).toBeLessThanOrEqual(16_384 - 16_384 / 8)
    expect(pipe.writableLength).toBeGreaterThan(16_384 - 16_384 / 8 - info.length)
    output.write(error)
    const kept = Math.floor((16_384 - 16_384 / 8) / info.length)
    expect(droppedLines.value).toBe(10_000 - kept)
    expect(droppedBytes.value).toBe((10_000 - kept) * info.length)
    for (let count = 0; count < 10_000; count += 1) output.write(error)
    expect(pipe.writableLength).toBeLessThanOrEqual(16_384)

    const dropped = droppedLines.value
    pipe.read()
    await expect.poll(() => pipe.writableLength).toBe(0)
    expect(pipe.lines[kept]).toBe(error)
    const before = pipe.lines.length
    output.write(info)
    const [told, next] = pipe.lines.slice(before)
    expect(JSON.parse(told ?? '')).toMatchObject({ level: 'warn', lines: dropped })
    expect(next).toBe(info)
    expect(droppedLines.value).toBe(dropped)
  })

  it('whose reader has closed does not end the process, and lost lines are counted', async () => {
    const gone = new Writable({
      autoDestroy: false,
      write: (_chunk, _encoding, done) => done(new Error('write EPIPE')),
    })
    const { output, droppedLines } = outputTo(gone)
    output.write(info)
    await expect.poll(() => droppedLines.value).toBe(1)
    output.write(info)
    await expect.poll(() => droppedLines.value).toBe(2)
  })
})
