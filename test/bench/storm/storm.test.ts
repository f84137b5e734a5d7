/** The short form of the reconnect storm: all devices come back, no message is lost, and TLS sessions are resumed. */
import { expect, test } from 'vitest'
import { drawStorms } from './figure.ts'
import { runStorm } from './storm.ts'
import { stormTable } from './table.ts'

test(
  'the devices of a killed node reconnect to other nodes, resume their TLS sessions, and lose no message',
  { timeout: 180_000 },
  async () => {
    const report = await runStorm({
      devices: 90,
      ratePerSecond: 90,
      calmMs: 1_000,
      limits: {},
      patienceMs: 120_000,
    })
    const { stayed, displacedBooks, storm, backMs } = report
    expect(backMs.all).toBeGreaterThan(0)
    expect(storm.displaced.resumed).toBeGreaterThan(0)
    expect(storm.displaced.resumed).toBeGreaterThanOrEqual(storm.displaced.handshakes - 5)
    expect(stayed.delivered).toBe(stayed.sent)
    expect(displacedBooks.delivered).toBe(displacedBooks.sent)
    expect([stayed.lost, displacedBooks.lost]).toEqual([0, 0])
    expect(storm.stayed.lostConnections).toBe(0)
    expect(stormTable({ admission: report })).toContain('| devices; of the killed node | 90; 30 |')
    expect(drawStorms({ admission: report })).toMatch(/^<svg .*<polyline points="\d.*<\/svg>\n$/s)
  },
)
