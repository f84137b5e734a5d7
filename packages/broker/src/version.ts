import { readFileSync } from 'node:fs'

/** Of the package, the image and the chart. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
).version
