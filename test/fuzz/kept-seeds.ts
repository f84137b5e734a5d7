/** Seeds of `npm run fuzz` whose first batches are held in every run of the tests: those that once found something. */
export const KEPT_SEEDS: readonly number[] = [20_261_121]
