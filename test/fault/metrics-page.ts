/** What a node says of itself: its metrics page, read as a scraper reads it. */
export class MetricsPage {
  readonly #lines: readonly string[]

  private constructor(text: string) {
    this.#lines = text.split('\n')
  }

  static async of(node: { readonly adminPort: number }): Promise<MetricsPage> {
    const response = await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)
    return new MetricsPage(await response.text())
  }

  /** The sum of all series of this name that have these labels. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    const series = this.#lines.filter(
      (line) => /^[{ ]/.test(line.slice(name.length)) && line.startsWith(name),
    )
    if (series.length === 0) throw new Error(`no metric ${name}`)
    return series
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  }

  dropped(reason: string, qos?: 0 | 1 | 2): number {
    return this.value('breakwater_messages_dropped_total', {
      reason,
      ...(qos === undefined ? {} : { qos: String(qos) }),
    })
  }
}
