/** A node whose garbage can be collected from outside: SIGUSR2. Without that its heap says little. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
process.on('SIGUSR2', () => collect())
await import('../../packages/broker/src/main.ts')
