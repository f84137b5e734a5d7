/** Whether a filter matches a topic [MQTT-4.7.1-2] [MQTT-4.7.1-3], written apart from the broker's tables. */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [index, want] of wanted.entries()) {
    if (want === '#') return true
    if (index >= levels.length) return false
    if (want !== '+' && want !== levels[index]) return false
  }
  return wanted.length === levels.length
}
