// What is typed behind `npm run … --` where a program has names of its own to take and no options but --help.
import { parseArgs } from 'node:util'
import { SetupError } from './toolchain.mjs'

/**
 * The arguments, as many as there are `names`; undefined where help was asked for and given. The first line of
 * `usage` is the form of the call.
 */
export function readArguments(usage, names, args = process.argv.slice(2)) {
  const [form] = usage.split('\n')
  const { values, positionals } = parsed(args, form)
  if (values.help === true) {
    console.log(usage)
    return undefined
  }
  if (positionals.length < names.length)
    throw new SetupError(`${names[positionals.length]} is missing; use: ${form}`)
  if (positionals.length > names.length)
    throw new SetupError(`"${positionals[names.length]}" is not known here; use: ${form}`)
  return positionals
}

function parsed(args, form) {
  try {
    const options = { help: { type: 'boolean', short: 'h' } }
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    const [line] = error.message.split('. ')
    throw new SetupError(`${line}; use: ${form}`)
  }
}
