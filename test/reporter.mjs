// What a vitest run came to, for test/run.mjs: counts, the reason of every skip, and whatever failed
// outside of a test. (The JSON reporter of vitest leaves out the last two.)
import { writeFileSync } from 'node:fs'

export default class RunReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const report = { passed: 0, failed: 0, skipped: [], broken: [] }
    for (const module of modules) {
      const file = module.relativeModuleId
      for (const test of module.children.allTests()) {
        const { state, note } = test.result()
        if (state === 'passed') report.passed++
        else if (state === 'failed') report.failed++
        else if (state === 'skipped')
          report.skipped.push({ name: `${file} > ${test.fullName}`, note })
        else report.broken.push(`${file} > ${test.fullName} did not finish`)
      }
      for (const suite of [module, ...module.children.allSuites()]) {
        const name = suite === module ? file : `${file} > ${suite.fullName}`
        for (const error of suite.errors()) report.broken.push(`${name}: ${firstLine(error)}`)
      }
    }
    for (const error of unhandledErrors)
      report.broken.push(`outside of a test: ${firstLine(error)}`)
    writeFileSync(process.env.BREAKWATER_TEST_REPORT, JSON.stringify(report))
  }
}

function firstLine(error) {
  return String(error.message).split('\n', 1)[0]
}
