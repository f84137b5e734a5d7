import { expect, test } from 'vitest'
import { Acknowledged, InflightTable } from './inflight-table.ts'
import { PacketType } from '../wire/packet.ts'

test('a packet id of a simulated device is never 0, and free again after PUBACK', () => {
  const table = new InflightTable(3, 1)
  expect([0, 1, 2, 3].map((sequence) => table.packetId(sequence))).toEqual([1, 2, 3, 1])
  table.open(0, 10, 20)
  expect([table.hasRoom(3), table.hasRoom(1)]).toEqual([false, true])
  expect(table.settle(PacketType.puback, 1)).toBe(Acknowledged.complete)
  expect([table.intendedUs(1), table.sentUs(1)]).toEqual([10, 20])
  expect(table.hasRoom(3)).toBe(true)
})

test('a QoS 2 publish of a simulated device goes through PUBREC and PUBCOMP, each once', () => {
  const table = new InflightTable(3, 2)
  table.open(0, 0, 0)
  expect(table.settle(PacketType.pubcomp, 1)).toBe(Acknowledged.stray)
  expect(table.settle(PacketType.pubrec, 1)).toBe(Acknowledged.received)
  expect(table.hasRoom(0)).toBe(false)
  expect(table.settle(PacketType.pubrec, 1)).toBe(Acknowledged.stray)
  expect(table.settle(PacketType.pubcomp, 1)).toBe(Acknowledged.complete)
  expect(table.settle(PacketType.pubcomp, 1)).toBe(Acknowledged.stray)
})

test.each<[PacketType, number, string]>([
  [PacketType.puback, 2, 'of a message that was not sent'],
  [PacketType.puback, 0, 'with packet id 0'],
  [PacketType.puback, 999, 'with a packet id out of range'],
  [PacketType.pubrec, 1, 'of the wrong QoS'],
  [PacketType.pubcomp, 1, 'of the wrong QoS'],
])('an acknowledgement (type %i, packet id %i) %s is counted as stray', (type, packetId) => {
  const table = new InflightTable(3, 1)
  table.open(0, 0, 0)
  expect(table.settle(type, packetId)).toBe(Acknowledged.stray)
})
