import { ConfigError } from '@breakwater/config'

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use: stop what listens there or choose another port',
  EACCES: 'this user may not use the port: choose one above 1023',
  EADDRNOTAVAIL: 'this machine does not have the address: choose one of its own, or 0.0.0.0',
  ENOTFOUND: 'the name has no address: choose an address of this machine, or 0.0.0.0',
}

/** Why a port cannot be listened on, as one line that names the setting and the way out. */
export function listenFault(
  setting: string,
  { host, port }: { readonly host: string; readonly port: number },
  cause: Error & { readonly code?: string },
): ConfigError {
  const code = cause.code ?? cause.message
  const advice = ADVICE[code] ?? 'choose another address or port'
  return new ConfigError(`${setting}: cannot listen on ${host}:${port} (${code}); ${advice}`, {
    cause,
  })
}
