import { readFileSync } from 'node:fs'

/** The rows of all tables of a page, as cells without surrounding space. */
export function tableRows(page: string): string[][] {
  const url = new URL(`../../docs/${page}`, import.meta.url)
  return readFileSync(url, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[-:|]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}
