/** Certificates with RSA keys (2,048 bits), made by the machine's openssl: what older fleets have. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

interface RsaPair {
  /** PEM. */
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface RsaAuthority {
  readonly pair: RsaPair
  /** For `localhost`, where it is one of a server. */
  issue(commonName: string, usage: 'server' | 'client'): Promise<RsaPair>
}

/** @param program the path of openssl */
export async function createRsaAuthority(program: string, folder: string): Promise<RsaAuthority> {
  const make = async (name: string, args: readonly string[]): Promise<RsaPair> => {
    const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30']
    await run(program, [...request, '-keyout', keyFile, '-out', certFile, ...args])
    const [cert, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')]
    return { cert, key, certFile, keyFile }
  }
  const config = join(folder, 'openssl.cnf')
  writeFileSync(
    config,
    `[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
`,
  )
  const of = (subject: string, extensions: string): string[] => {
    return ['-config', config, '-subj', `/CN=${subject}`, '-extensions', extensions]
  }
  const pair = await make('rsa-ca', of('RSA authority', 'ca'))
  const signed = ['-CA', pair.certFile, '-CAkey', pair.keyFile]
  return {
    pair,
    issue: (commonName, usage) => make(commonName, [...of(commonName, usage), ...signed]),
  }
}
