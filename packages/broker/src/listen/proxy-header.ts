/**
 * The PROXY protocol, versions 1 and 2, as bytes: who is behind the proxy.
 *
 * In: the first bytes of a connection. Out: the header and its length, `undefined` while it is not complete,
 * or a string that says what is wrong with it. The address decides limits and stands in log lines, so nothing is
 * taken for one that the protocol does not allow. Bounds: 107 bytes for version 1 (its standard),
 * `V2_BYTES_MAX` for 2.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { crc32c } from './crc32c.ts'

export interface ProxyHeader {
  /** With the header's end line or lengths: what follows is the client's. */
  readonly bytes: number
  /** `10.0.0.1:40000`; undefined where the proxy speaks for itself, such as at a health check. */
  readonly peer: string | undefined
  /** What the proxy says of TLS that it terminated itself. A claim; our own TLS has proved nothing of it. */
  readonly claims: ProxyClaims | undefined
}

export interface ProxyClaims {
  /** Host name that the client asked for (SNI). */
  readonly authority?: string
  /** Common name of the client's certificate. */
  readonly commonName?: string
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const V1_BYTES_MAX = 107
const V2_HEAD_BYTES = 16
/** Addresses and every TLV that proxies send; a proxy's own certificate chain is not among them. */
const V2_BYTES_MAX = 4_096
const Command = { LOCAL: 0, PROXY: 1 } as const
const Family = { UNSPEC: 0, IPV4: 1, IPV6: 2, UNIX: 3 } as const
const Transport = { UNSPEC: 0, STREAM: 1, DATAGRAM: 2 } as const
/** Of both addresses and ports, by family. */
const ADDRESS_BLOCK_BYTES = [0, 12, 36, 216] as const
const Tlv = {
  AUTHORITY: 0x02,
  CRC32C: 0x03,
  UNIQUE_ID: 0x05,
  SSL: 0x20,
  SSL_COMMON_NAME: 0x22,
} as const
const TLV_HEAD_BYTES = 3
const CRC32C_BYTES = 4
const UNIQUE_ID_BYTES_MAX = 128
/** Of the SSL TLV before its own: a byte of flags, four of the result of the verification. */
const SSL_HEAD_BYTES = 5
/** A number from 0 to 65535 without zeros in front. */
const PORT = /^(?:0|[1-9]\d{0,4})$/
const PORT_MAX = 65_535

export function readProxyHeader(bytes: Buffer): ProxyHeader | string | undefined {
  const length = Math.min(bytes.length, SIGNATURE.length)
  if (length > 0 && bytes.subarray(0, length).equals(SIGNATURE.subarray(0, length)))
    return bytes.length < V2_HEAD_BYTES ? undefined : readV2(bytes)
  const start = bytes.toString('latin1', 0, 6)
  if (!'PROXY '.startsWith(start)) return 'no PROXY header'
  return readV1(bytes)
}

function readV1(bytes: Buffer): ProxyHeader | string | undefined {
  const line = bytes.toString('latin1', 0, V1_BYTES_MAX)
  const end = line.indexOf('\r\n')
  if (end === -1) return isOpen(line) ? undefined : 'a PROXY header without an end'
  const [, protocol, ...fields] = line.slice(0, end).split(' ')
  // Of the rest of such a line anything is to be ignored.
  if (protocol === 'UNKNOWN') return { bytes: end + 2, peer: undefined, claims: undefined }
  if (protocol !== 'TCP4' && protocol !== 'TCP6') return 'a PROXY header of an unknown protocol'
  if (fields.length !== 4) return 'a PROXY header that cannot be read'
  const [source, destination, ...ports] = fields as [string, string, string, string]
  const isAddress = protocol === 'TCP4' ? isIPv4 : isAddressOfV6
  if (!isAddress(source) || !isAddress(destination))
    return `a PROXY address that is not ${protocol}`
  if (!ports.every(isPort)) return 'a PROXY port that is not 0 to 65535'
  return { bytes: end + 2, peer: `${source}:${ports[0]}`, claims: undefined }
}

/** Whether its end may still come: a line feed alone is none. */
function isOpen(line: string): boolean {
  return line.length < V1_BYTES_MAX && (!line.includes('\n') || line.startsWith('PROXY UNKNOWN'))
}

/** A zone belongs to the machine that names it, so no address of a header has one. */
function isAddressOfV6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= PORT_MAX
}

function readV2(bytes: Buffer): ProxyHeader | string | undefined {
  const versionCommand = bytes.readUInt8(12)
  const familyTransport = bytes.readUInt8(13)
  const command = versionCommand & 0x0f
  const family = familyTransport >> 4
  const transport = familyTransport & 0x0f
  const end = V2_HEAD_BYTES + bytes.readUInt16BE(14)
  if (versionCommand >> 4 !== 2 || command > Command.PROXY)
    return 'a PROXY header of an unknown version'
  if (end > V2_BYTES_MAX) return 'a PROXY header that is too long'
  const addressBytes = ADDRESS_BLOCK_BYTES[family]
  const isLocal = command === Command.LOCAL
  if (!isLocal) {
    if (addressBytes === undefined || transport > Transport.DATAGRAM)
      return 'a PROXY header of an unknown protocol'
    if (end - V2_HEAD_BYTES < addressBytes) return 'a PROXY header without its addresses'
  }
  if (bytes.length < end) return undefined
  // The proxy speaks for itself: whatever stands in the header is to be ignored.
  if (isLocal || addressBytes === undefined)
    return { bytes: end, peer: undefined, claims: undefined }
  // Where nothing is specified it is not told where addresses end.
  if (family === Family.UNSPEC) return { bytes: end, peer: undefined, claims: undefined }
  const tlvs = readTlvs(bytes, V2_HEAD_BYTES + addressBytes, end)
  if (tlvs === undefined) return 'a PROXY header with a TLV of an impossible length'
  if (!isIntact(bytes.subarray(0, end), tlvs.get(Tlv.CRC32C)))
    return 'a PROXY header with a wrong checksum'
  const claims = readClaims(bytes, tlvs)
  if (claims === undefined) return 'a PROXY header with a TLV of an impossible length'
  return {
    bytes: end,
    peer: transport === Transport.STREAM ? peerOf(bytes, family) : undefined,
    claims: Object.keys(claims).length === 0 ? undefined : claims,
  }
}

/** Undefined for a socket of the proxy's own machine. */
function peerOf(bytes: Buffer, family: number): string | undefined {
  if (family === Family.UNIX) return undefined
  const addressBytes = family === Family.IPV4 ? 4 : 16
  const source = bytes.subarray(V2_HEAD_BYTES, V2_HEAD_BYTES + addressBytes)
  const port = bytes.readUInt16BE(V2_HEAD_BYTES + 2 * addressBytes)
  return `${family === Family.IPV4 ? source.join('.') : ipv6Of(source)}:${port}`
}

function ipv6Of(source: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => source.readUInt16BE(at * 2).toString(16))
  return groups.join(':')
}

/** A place in the header. */
interface Span {
  readonly start: number
  readonly end: number
}

function lengthOf({ start, end }: Span): number {
  return end - start
}

/** Undefined: one of them has a length that cannot be. */
function readClaims(bytes: Buffer, tlvs: ReadonlyMap<number, Span>): ProxyClaims | undefined {
  const ssl = tlvs.get(Tlv.SSL)
  const uniqueId = tlvs.get(Tlv.UNIQUE_ID)
  if (uniqueId !== undefined && lengthOf(uniqueId) > UNIQUE_ID_BYTES_MAX) return undefined
  if (ssl !== undefined && lengthOf(ssl) < SSL_HEAD_BYTES) return undefined
  const inner = ssl === undefined ? undefined : readTlvs(bytes, ssl.start + SSL_HEAD_BYTES, ssl.end)
  if (ssl !== undefined && inner === undefined) return undefined
  const text = (span: Span | undefined): string | undefined =>
    span && bytes.toString('utf8', span.start, span.end)
  const authority = text(tlvs.get(Tlv.AUTHORITY))
  const commonName = text(inner?.get(Tlv.SSL_COMMON_NAME))
  return {
    ...(authority === undefined ? {} : { authority }),
    ...(commonName === undefined ? {} : { commonName }),
  }
}

/** A receiver that knows the checksum must look at it; one that is not there proves nothing. */
function isIntact(header: Buffer, checksum: Span | undefined): boolean {
  if (checksum === undefined) return true
  if (lengthOf(checksum) !== CRC32C_BYTES) return false
  const blank = Buffer.from(header)
  blank.fill(0, checksum.start, checksum.end)
  return crc32c(blank) === header.readUInt32BE(checksum.start)
}

function readTlvs(bytes: Buffer, from: number, end: number): ReadonlyMap<number, Span> | undefined {
  const found = new Map<number, Span>()
  let offset = from
  while (offset < end) {
    const start = offset + TLV_HEAD_BYTES
    if (start > end) return undefined
    const next = start + bytes.readUInt16BE(offset + 1)
    if (next > end) return undefined
    found.set(bytes[offset] as number, { start, end: next })
    offset = next
  }
  return found
}
