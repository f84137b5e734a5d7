/** Options of the programs behind `npm run` that are numbers. A bad one ends the program with one line. */
import { InvalidArgumentError } from 'commander'

export interface NumberBounds {
  readonly min: number
  readonly max: number
  /** Default: fractions are numbers, too. */
  readonly whole?: boolean
}

/** For `.option(flags, description, number({ min, max }), fallback)`. */
export function number({ min, max, whole = false }: NumberBounds): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && value >= min && value <= max && (!whole || Number.isInteger(value)))
      return value
    const kind = whole ? 'a whole number' : 'a number'
    throw new InvalidArgumentError(`It must be ${kind} from ${min} to ${max}.`)
  }
}
