import type { Bus } from './bus.ts'

/** Nodes that reach each other and nobody else. */
export interface BusUnderTest extends AsyncDisposable {
  join(): Promise<Bus>
}
