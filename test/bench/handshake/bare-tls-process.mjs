// The least that Node needs for an idle TLS connection: a `tls.Server` with one small object per
// socket, and the three canned answers without which no MQTT client would stay. Arguments: CERT KEY [CA];
// with the last one clients must show a certificate of that authority.
// Plain JavaScript, as what strips types would take memory of its own.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:tls'

const CONNACK = Buffer.of(0x20, 2, 0, 0)
const PINGRESP = Buffer.of(0xd0, 0)

const [certFile = '', keyFile = '', caFile] = process.argv.slice(2)
const peers = new Set()
let opened = 0

function answer(type, chunk) {
  if (type === 1) return CONNACK
  // The packet id stands behind one byte of remaining length: the filters here are short.
  if (type === 8) return Buffer.of(0x90, 3, chunk[2] ?? 0, chunk[3] ?? 0, 0)
  return type === 12 ? PINGRESP : undefined
}

const server = createServer(
  {
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    noDelay: true,
    ...(caFile === undefined
      ? {}
      : { ca: readFileSync(caFile), requestCert: true, rejectUnauthorized: true }),
  },
  (socket) => {
    const peer = { id: opened++, socket, bytes: 0 }
    peers.add(peer)
    socket.on('data', (chunk) => {
      peer.bytes += chunk.length
      const frame = answer((chunk[0] ?? 0) >> 4, chunk)
      if (frame !== undefined) socket.write(frame)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => peers.delete(peer))
  },
)
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
await once(server, 'listening')
const { port } = server.address()
console.log(JSON.stringify({ msg: 'node is ready', listen: [`mqtts://127.0.0.1:${port}`] }))
process.once('SIGTERM', () => process.exit())
