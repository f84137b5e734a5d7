// Runs a program to its end and keeps what it said.
import { spawn } from 'node:child_process'

/** Resolves to the exit code and both outputs as one text; `missing` when there is no such program. */
export function capture(program, args, { cwd, env = process.env, input = '' } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
    const chunks = []
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    // A program that does not read its input closes the pipe early; its exit code tells the rest.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    child.once('error', (error) => {
      resolve({ code: 127, output: error.message, missing: error.code === 'ENOENT' })
    })
    child.once('close', (code, signal) => {
      const output = Buffer.concat(chunks).toString('utf8')
      resolve({ code: code ?? 1, output: signal ? `${output}ended by ${signal}\n` : output })
    })
  })
}
