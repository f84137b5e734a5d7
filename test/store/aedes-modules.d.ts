/** The published package has no types for its suite; this much of it is used here. */
declare module 'aedes-persistence/abstract.js' {
  /** What a case is given: the part of node:test's context that the suite uses. */
  export interface CaseContext {
    readonly plan: (assertions: number) => void
    readonly diagnostic: (text: string) => void
    readonly assert: Readonly<
      Record<'equal' | 'deepEqual', (actual: unknown, expected: unknown, text?: string) => void>
    >
  }
  function abstractPersistence(options: {
    readonly test: (name: string, run: (context: CaseContext) => Promise<void>) => void
    /** The persistence is asynchronous, and is given its broker by `setup`. */
    readonly testAsync: true
    readonly persistence: () => Promise<unknown>
  }): void
  export default abstractPersistence
}
