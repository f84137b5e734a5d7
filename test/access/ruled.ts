/** A node with access rules that a test can change while it runs. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'

export interface Ruled extends AsyncDisposable {
  readonly node: TestNode
  /** Resolves when the node has read it. */
  change(text: string): Promise<void>
}

export async function startRuled(rules: string, options: NodeOptions = {}): Promise<Ruled> {
  const file = join(temporaryDirectory('acl-'), 'acl.yaml')
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  put(rules)
  const environment = { ...options.environment, BREAKWATER_ACL_FILE: file }
  const node = await startNode({ ...options, environment })
  return {
    node,
    async change(text) {
      const before = node.logs().length
      put(text)
      const isRead = (): boolean =>
        node
          .logs()
          .slice(before)
          .some(({ path }) => path === file)
      await expect.poll(isRead, { timeout: 15_000 }).toBe(true)
    },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  }
}
