/**
 * The PROXY protocol, versions 1 and 2, as bytes: who is behind the proxy.
 *
 * In: the first bytes of a connection. Out: the header and its length, `undefined` while it is not complete,
 * or a string that says why it is none. Bounds: 107 bytes for version 1 (its standard), `V2_BYTES_MAX` for 2.
 */
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
const Tlv = { AUTHORITY: 0x02, SSL: 0x20, SSL_COMMON_NAME: 0x22 } as const
/** Of the SSL TLV before its own: a byte of flags, four of the result of the verification. */
const SSL_HEAD_BYTES = 5

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
  if (end === -1) return line.length < V1_BYTES_MAX ? undefined : 'a PROXY header without an end'
  const text = line.slice(0, end)
  if (/^PROXY UNKNOWN(?: |$)/.test(text))
    return { bytes: end + 2, peer: undefined, claims: undefined }
  const [, address, port] =
    /^PROXY TCP[46] ([\da-fA-F.:]+) [\da-fA-F.:]+ (\d{1,5}) \d{1,5}$/.exec(text) ?? []
  if (address === undefined) return 'a PROXY header that cannot be read'
  return { bytes: end + 2, peer: `${address}:${port}`, claims: undefined }
}

function readV2(bytes: Buffer): ProxyHeader | string | undefined {
  const versionCommand = bytes[12] as number
  const family = (bytes[13] as number) >> 4
  const end = V2_HEAD_BYTES + bytes.readUInt16BE(14)
  const command = versionCommand & 0x0f
  if (versionCommand >> 4 !== 2 || command > 1) return 'a PROXY header of an unknown version'
  if (end > V2_BYTES_MAX) return 'a PROXY header that is too long'
  if (bytes.length < end) return undefined
  if (command === 0) return { bytes: end, peer: undefined, claims: undefined }
  const addressBytes = family === 1 ? 4 : family === 2 ? 16 : 0
  if (addressBytes === 0) return { bytes: end, peer: undefined, claims: undefined }
  const tlvs = V2_HEAD_BYTES + 2 * addressBytes + 4
  if (tlvs > end) return 'a PROXY header that cannot be read'
  const source = bytes.subarray(V2_HEAD_BYTES, V2_HEAD_BYTES + addressBytes)
  const port = bytes.readUInt16BE(V2_HEAD_BYTES + 2 * addressBytes)
  const claims = readClaims(bytes.subarray(tlvs, end))
  if (claims === undefined) return 'a PROXY header that cannot be read'
  const peer = `${family === 1 ? source.join('.') : ipv6Of(source)}:${port}`
  return { bytes: end, peer, claims: Object.keys(claims).length === 0 ? undefined : claims }
}

function ipv6Of(source: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => source.readUInt16BE(at * 2).toString(16))
  return groups.join(':')
}

function readClaims(bytes: Buffer): ProxyClaims | undefined {
  const outer = readTlvs(bytes)
  const ssl = outer?.get(Tlv.SSL)
  const inner =
    ssl === undefined || ssl.length < SSL_HEAD_BYTES
      ? undefined
      : readTlvs(ssl.subarray(SSL_HEAD_BYTES))
  if (outer === undefined) return undefined
  const authority = outer.get(Tlv.AUTHORITY)?.toString()
  const commonName = inner?.get(Tlv.SSL_COMMON_NAME)?.toString()
  return {
    ...(authority === undefined ? {} : { authority }),
    ...(commonName === undefined ? {} : { commonName }),
  }
}

function readTlvs(bytes: Buffer): ReadonlyMap<number, Buffer> | undefined {
  const found = new Map<number, Buffer>()
  let offset = 0
  while (offset < bytes.length) {
    if (offset + 3 > bytes.length) return undefined
    const end = offset + 3 + bytes.readUInt16BE(offset + 1)
    if (end > bytes.length) return undefined
    found.set(bytes[offset] as number, bytes.subarray(offset + 3, end))
    offset = end
  }
  return found
}
