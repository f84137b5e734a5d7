/** Certificates with keys of every kind, made by the machine's openssl: what older and other fleets have. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface OpensslPair {
  /** PEM. */
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface OpensslAuthority {
  readonly pair: OpensslPair
  /** For `localhost`, where it is one of a server. */
  issue(
    commonName: string,
    usage: 'server' | 'client' | 'both',
    key?: readonly [string, ...string[]],
  ): Promise<OpensslPair>
  /** A revocation list without entries, PEM. */
  emptyList(): Promise<string>
}

const RSA = ['rsa:2048'] as const

/**
 * Keys are the arguments of `openssl req -newkey`.
 *
 * @param program the path of openssl
 */
export async function createOpensslAuthority(
  program: string,
  folder: string,
  authorityKey: readonly [string, ...string[]] = RSA,
): Promise<OpensslAuthority> {
  let made = 0
  const make = async (key: readonly string[], args: readonly string[]): Promise<OpensslPair> => {
    made += 1
    const [certFile, keyFile] = [join(folder, `${made}.crt`), join(folder, `${made}.key`)]
    const request = ['req', '-x509', '-newkey', ...key, '-nodes', '-days', '30']
    await run(program, [...request, '-keyout', keyFile, '-out', certFile, ...args])
    const [cert, keyPem] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')]
    return { cert, key: keyPem, certFile, keyFile }
  }
  writeFileSync(join(folder, 'index.txt'), '')
  const config = join(folder, 'openssl.cnf')
  writeFileSync(
    config,
    `[ca]
default_ca = list
[list]
database = ${join(folder, 'index.txt')}
default_md = default
default_crl_days = 30
[req]
distinguished_name = name
[name]
[authority]
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
[both]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
`,
  )
  const of = (subject: string, extensions: string): string[] => {
    return ['-config', config, '-subj', `/CN=${subject}`, '-extensions', extensions]
  }
  const pair = await make(authorityKey, of('openssl authority', 'authority'))
  const signed = ['-CA', pair.certFile, '-CAkey', pair.keyFile]
  return {
    pair,
    emptyList: async () => {
      const signer = ['-cert', pair.certFile, '-keyfile', pair.keyFile]
      const { stdout } = await run(program, ['ca', '-gencrl', '-config', config, ...signer])
      return stdout
    },
    issue: (commonName, usage, key = RSA) => make(key, [...of(commonName, usage), ...signed]),
  }
}
