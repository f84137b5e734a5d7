/** The numbered statements of MQTT 3.1.1 (its appendix B): sections, and how many each of them has. */
const SECTIONS: Readonly<Record<string, number>> = {
  '1.5.3': 3,
  '2.2.2': 2,
  '2.3.1': 7,
  '3.1.0': 2,
  '3.1.2': 24,
  '3.1.3': 11,
  '3.1.4': 5,
  '3.2.0': 1,
  '3.2.2': 6,
  '3.3.1': 12,
  '3.3.2': 3,
  '3.3.4': 1,
  '3.3.5': 2,
  '3.6.1': 1,
  '3.8.1': 1,
  '3.8.3': 3,
  '3.8.4': 6,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.12.4': 1,
  '3.14.1': 1,
  '3.14.4': 3,
  '4.1.0': 2,
  '4.2.0': 1,
  '4.3.1': 1,
  '4.3.2': 2,
  '4.3.3': 2,
  '4.4.0': 1,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.1': 3,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.0': 2,
  '6.0.0': 4,
}

export const CLAUSES: readonly string[] = [
  ...Object.entries(SECTIONS).flatMap(([section, count]) =>
    Array.from({ length: count }, (_, index) => `MQTT-${section}-${index + 1}`),
  ),
  // Numbered so in the standard itself.
  'MQTT-3-8.3-4',
]

const CLIENT = 'a duty of clients'
const DECODER = 'wanted of every packet that a suite reads, by kit/wire-decoder.ts'
const WEBSOCKET = 'WebSocket listeners come later, and their tests with them'

/** The statements that no test of this folder names, and why. */
export const WITHOUT_TEST: Readonly<Record<string, string>> = {
  'MQTT-2.2.2-1': DECODER,
  'MQTT-2.3.1-2': CLIENT,
  'MQTT-2.3.1-3': CLIENT,
  'MQTT-3.1.2-23': CLIENT,
  'MQTT-3.8.3-2': 'for servers without wildcards',
  'MQTT-3.9.3-2': DECODER,
  'MQTT-4.1.0-2': 'nothing could be tested if sessions ended before their connections',
  'MQTT-4.5.0-2': CLIENT,
  'MQTT-4.8.0-2': 'transient errors are those of the store and the bus: test/fault',
  'MQTT-6.0.0-1': WEBSOCKET,
  'MQTT-6.0.0-2': WEBSOCKET,
  'MQTT-6.0.0-3': WEBSOCKET,
  'MQTT-6.0.0-4': WEBSOCKET,
}
