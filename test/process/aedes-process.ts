/** An aedes broker on a Redis, unmodified, in a process of its own that ends like a machine does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WireAddress } from '../kit/wire-client.ts'
import { programEnvironment } from '../kit/program-environment.ts'

const STOCK = fileURLToPath(new URL('../bench/stock-process.ts', import.meta.url))

export interface AedesProcess extends WireAddress, AsyncDisposable {
  kill(): Promise<void>
}

export async function startAedes(redisUrl: string): Promise<AedesProcess> {
  const child = spawn(process.execPath, ['--conditions=source', STOCK, 'mqtt'], {
    env: { ...programEnvironment(), STOCK_REDIS_URL: redisUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const [url = ''] = (JSON.parse(line) as { listen: string[] }).listen
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return { host: '127.0.0.1', port: Number(new URL(url).port), kill, [Symbol.asyncDispose]: kill }
}
