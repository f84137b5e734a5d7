export { parseAuthorityFile } from './authority-file.ts'
export { Authority } from './authority.ts'
export type { CertificatePair, LeafOptions, RevocationOptions } from './authority.ts'
export type { CertificateNames } from './certificate-name.ts'
export { readCertificates, isSelfIssued, bestChain } from './chain.ts'
export type { Known, Chain } from './chain.ts'
export { authorizationErrorOf, clientCertificateOf } from './client-certificate.ts'
export type { ClientCertificate } from './client-certificate.ts'
export { ClientTrust, TrustFault } from './client-trust.ts'
export type { AuthorityEnd } from './client-trust.ts'
export {
  ensureDevelopmentCertificates,
  pairTls,
  checkDevelopmentCertificates,
} from './development.ts'
export type { DevelopmentCertificates } from './development.ts'
