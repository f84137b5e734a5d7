import { expect, test } from 'vitest'
import { WatchedFiles, type FileCheck, type FilesReport } from './watched-files.ts'

function watchedFiles(): { readonly files: WatchedFiles; readonly reports: FilesReport[] } {
  const reports: FilesReport[] = []
  const files = new WatchedFiles({
    pollMs: 60_000,
    deaf: () => undefined,
    readAgain: (report) => reports.push(report),
  })
  return { files, reports }
}

test('the reload report has every watched file once, with its outcome', async () => {
  const { files, reports } = watchedFiles()
  using _same = files.watch({ paths: ['/tmp/a', '/tmp/b'], check: () => 'unchanged' })
  using _other = files.watch({
    paths: ['/tmp/b', '/tmp/c'],
    check: () => Promise.resolve('in-use'),
  })
  using _bad = files.watch({ paths: ['/tmp/d'], check: () => ({ refused: 'd is not good' }) })
  using _defect = files.watch({
    paths: ['/tmp/e'],
    check: () => {
      throw new Error('a defect')
    },
  })
  const gone = files.watch({ paths: ['/tmp/f'], check: () => 'in-use' })
  gone[Symbol.dispose]()
  await files.look()
  expect(reports).toEqual([
    { files: 5, inUse: ['/tmp/b', '/tmp/c'], refused: ['d is not good', 'a defect'] },
  ])
})

test('requests to check the files during a check lead to one further check', async () => {
  const { files, reports } = watchedFiles()
  const access = Promise.withResolvers<FileCheck>()
  let checks = 0
  using _slow = files.watch({
    paths: ['/tmp/a'],
    check: () => {
      checks += 1
      return checks === 1 ? access.promise : 'in-use'
    },
  })
  const first = files.look()
  for (let count = 0; count < 10; count += 1) await files.look()
  access.resolve('unchanged')
  await first
  expect(reports.map(({ inUse }) => inUse)).toEqual([[], ['/tmp/a']])
})
