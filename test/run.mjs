// `npm test`: everything a fresh checkout needs, then every gate and every test, in one command.
// `npm test -- PATH` hands its arguments to vitest and leaves the gates out; with `--watch` it runs them again
// whenever a file that they use changes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { forwardSignals } from '../deploy/local/signals.mjs'
import { binary, main, prepare, root, SetupError } from '../deploy/local/toolchain.mjs'
import { canInstall, installPackages } from './debian-packages.mjs'
import { interruptStage, runStage } from './stage.mjs'

const gates = [
  { name: 'format', program: 'oxfmt', args: ['--check', '.'] },
  { name: 'lint', program: 'oxlint', args: ['--type-aware'] },
  { name: 'types', program: 'tsc', args: ['-b', 'test'] },
  { name: 'knip', program: 'knip', args: [] },
]
const gateLimitMs = 5 * 60_000
// The long form of a test takes longer, see the tests that have one.
const testsLimitMs = Number(process.env.BREAKWATER_TEST_LIMIT_MINUTES ?? 15) * 60_000
const reporter = fileURLToPath(new URL('./reporter.mjs', import.meta.url))
// More workers than cores only make tests that wait for a deadline miss it.
const workers = `--maxWorkers=${Math.min(4, availableParallelism())}`

await main(async () => {
  const filter = process.argv.slice(2)
  const { node, env } = await prepare()
  forwardSignals(interruptStage)
  if (!process.stdout.isTTY) env.NO_COLOR ??= '1'
  env.BREAKWATER_TEST_REDIS_MODE = await redisMode({ node, env })
  if (filter.includes('--watch')) {
    await watch(filter, env)
    return
  }

  const directory = mkdtempSync(join(tmpdir(), 'breakwater-test-'))
  const results = []
  try {
    if (filter.length === 0) {
      for (const gate of gates) results.push(await runGate(gate, env))
      results.push(await runTests({ name: 'unit', args: ['--project', 'unit'], env, directory }))
      const args = ['--project', 'integration']
      results.push(await runTests({ name: 'integration', args, env, directory }))
    } else {
      const args = ['--passWithNoTests', ...filter]
      results.push(await runTests({ name: 'tests', args, env, directory }))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  close(results)
})

/** Until it is ended; the keys are those of vitest. */
async function watch(args, env) {
  const child = spawn(binary('vitest'), args, { cwd: root, env, stdio: 'inherit' })
  const [code] = await once(child, 'close')
  process.exitCode = code ?? 1
}

/** Decided once for the whole run, by trying; the tests are told in BREAKWATER_TEST_REDIS_MODE. */
async function redisMode({ node, env }) {
  const find = async () => {
    const args = ['--conditions=source', join('test', 'kit', 'redis', 'redis-mode.ts')]
    const { code, output, answer } = await runStage({
      program: node,
      args,
      env,
      cwd: root,
      limitMs: gateLimitMs,
    })
    if (code !== 0) throw new SetupError('the search for a Redis failed', output)
    return JSON.parse(answer)
  }
  let { mode, passedOver } = await find()
  if (mode === undefined && canInstall()) {
    console.log('redis        installing the package redis-server')
    const failures = await installPackages(['redis-server'])
    passedOver = [...passedOver, ...failures]
    if (failures.length === 0) mode = (await find()).mode
  }
  if (mode === undefined) {
    throw new SetupError(
      `the tests need a Redis (${passedOver.join('; ')}): install redis-server, start Docker, ` +
        'or set BREAKWATER_TEST_REDIS_URL',
    )
  }
  const meaning = {
    external: 'the server in BREAKWATER_TEST_REDIS_URL',
    container: 'containers',
    process: 'redis-server processes',
  }[mode]
  line('redis', [meaning, ...passedOver].join('; '))
  return mode
}

async function runGate({ name, program, args }, env) {
  const stage = { program: binary(program), args, env, cwd: root, limitMs: gateLimitMs }
  const { code, output, seconds } = await runStage(stage)
  line(name, code === 0 ? 'ok' : 'failed', seconds)
  if (code !== 0) console.log(output.trimEnd().replaceAll(/^/gm, '  '))
  return { name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [], broken: [] }
}

async function runTests({ name, args, env, directory }) {
  const report = join(directory, `${name}.json`)
  const { code, output, seconds } = await runStage({
    program: binary('vitest'),
    args: ['run', workers, '--reporter=default', `--reporter=${reporter}`, ...args],
    env: { ...env, BREAKWATER_TEST_REPORT: report },
    cwd: root,
    limitMs: testsLimitMs,
    shown: true,
  })
  if (output !== '') console.log(output.trim())
  const result = { name, ...readReport(report) }
  result.failed += result.broken.length
  if (result.passed + result.failed === 0) {
    result.broken.push('no test ran')
    result.failed++
  } else if (code !== 0 && result.failed === 0) {
    result.broken.push(`vitest ended with code ${code}`)
    result.failed++
  }
  judgeSkips(result)
  line(name, counts([result]), seconds)
  for (const cause of result.broken) console.log(`  ${name}: ${cause}`)
  return result
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // vitest did not get as far as its report; its own output says why.
    return { passed: 0, failed: 0, skipped: [], broken: ['the run did not come to its end'] }
  }
}

/**
 * Where everything can be installed (.ci/run) a skip is a failure, unless its reason is listed in
 * BREAKWATER_TEST_ALLOWED_SKIPS, separated by semicolons.
 */
function judgeSkips(result) {
  const allowed = process.env.BREAKWATER_TEST_ALLOWED_SKIPS?.split(';')
  if (allowed === undefined) return
  const avoidable = result.skipped.filter(({ note }) => !allowed.includes(note))
  result.skipped = result.skipped.filter((skip) => !avoidable.includes(skip))
  result.failed += avoidable.length
  result.broken.push(...avoidable.map((skip) => `skipped, though avoidable: ${named(skip)}`))
}

function close(results) {
  for (const skip of results.flatMap(({ skipped }) => skipped))
    console.log(`skipped: ${named(skip)}`)
  const failed = results.filter((result) => result.failed > 0).map(({ name }) => name)
  if (failed.length > 0) {
    console.log(`failed: ${failed.join(', ')}`)
    process.exitCode = 1
  }
  const summary = counts(results)
  if (process.env.BREAKWATER_TEST_SUMMARY)
    writeFileSync(process.env.BREAKWATER_TEST_SUMMARY, `${summary}\n`)
  console.log(summary)
}

function counts(results) {
  const sum = (count) => results.reduce((total, result) => total + count(result), 0)
  const passed = sum((result) => result.passed)
  const failed = sum((result) => result.failed)
  return `${passed} passed, ${failed} failed, ${sum(({ skipped }) => skipped.length)} skipped`
}

function named({ name, note }) {
  return `${name} (${note ?? 'no reason given'})`
}

function line(name, what, seconds) {
  console.log(
    `${name.padEnd(12)} ${what}${seconds === undefined ? '' : `  ${seconds.toFixed(1)} s`}`,
  )
}
