/** Numbers for people. */

const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `12,345` */
export const formatCount = (count: number): string => COUNT.format(count)

/** Three significant digits where they matter: `0.41`, `3.1`, `48`. */
export const formatMs = (ms: number): string =>
  ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : ms.toFixed(0)

/** `998/s`, `9.5/s` */
export const formatRate = (perSecond: number): string =>
  `${perSecond < 10 && perSecond > 0 ? perSecond.toFixed(1) : formatCount(perSecond)}/s`

/** `512 B`, `1.2 MB` */
export const formatBytes = (bytes: number): string => {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`
  return `${(bytes / 1e9).toFixed(1)} GB`
}
