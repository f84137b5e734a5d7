/** The run was asked for something impossible: one line that names the option and the fix. */
export class InputError extends Error {
  override name = 'InputError'
}
