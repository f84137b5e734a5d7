/** Asks on the terminal for what nobody is to see. In: keys. Out: the text, when Enter is pressed. */
import { StringDecoder } from 'node:string_decoder'
import { ConfigError } from '@breakwater/config'

const ENTER = new Set(['\r', '\n', '\u0004'])
const BACKSPACE = new Set(['\b', '\u007f'])
const INTERRUPT = '\u0003'
const CLEAR = '\u0015'

/** Standard input is a terminal. @throws {ConfigError} it was interrupted */
export async function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process
  const decoder = new StringDecoder('utf8')
  let typed: string[] = []
  // Before the question: what is typed at once is not shown either.
  stdin.setRawMode(true)
  stderr.write(question)
  try {
    // Not `for await`: that would end the stream, and there is a second question.
    return await new Promise((resolve, reject) => {
      const take = (bytes: Buffer): void => {
        for (const key of decoder.write(bytes)) {
          if (key === INTERRUPT) reject(new ConfigError('passwd: interrupted; nothing was changed'))
          else if (ENTER.has(key)) resolve(typed.join(''))
          else if (BACKSPACE.has(key)) typed.pop()
          else if (key === CLEAR) typed = []
          else {
            typed.push(key)
            continue
          }
          if (key === INTERRUPT || ENTER.has(key)) {
            stdin.off('data', take)
            return
          }
        }
      }
      stdin.on('data', take)
      stdin.resume()
    })
  } finally {
    stdin.pause()
    stdin.setRawMode(false)
    stderr.write('\n')
  }
}
