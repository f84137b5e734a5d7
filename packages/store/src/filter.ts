/** [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1]: whether a topic matches a filter, level by level. */
export function filterMatches(filter: string, topic: string): boolean {
  if (!hasWildcard(filter)) return filter === topic
  if (topic.startsWith('$') && !filter.startsWith('$')) return false
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true
    if (index >= levels.length) return false
    if (level !== '+' && level !== levels[index]) return false
  }
  return wanted.length === levels.length
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#')
}
