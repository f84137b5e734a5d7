/** A PEM file of the authorities that a service is trusted by. */
import { X509Certificate } from 'node:crypto'
import { ConfigError } from '@breakwater/config'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws {ConfigError} one line: there is none in it, or one that cannot be read */
export function parseAuthorityFile(text: string, path: string): string {
  const certificates = text.match(CERTIFICATE) ?? []
  for (const [place, pem] of certificates.entries()) {
    try {
      void new X509Certificate(pem)
    } catch (cause) {
      throw new ConfigError(`${path} certificate ${place + 1} cannot be read; make it anew`, {
        cause,
      })
    }
  }
  if (certificates.length > 0) return text
  throw new ConfigError(
    `${path} is not a PEM certificate; give a file with -----BEGIN CERTIFICATE-----`,
  )
}
