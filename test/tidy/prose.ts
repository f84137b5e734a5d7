import type { SourceFile } from './source-files.ts'

/** Wording that a reader who does not know the project cannot follow, and what to write instead. */
const UNCLEAR: readonly (readonly [wording: RegExp, instead: string])[] = [
  [/\b(?:is|are) none\b/i, 'what is wrong, as in "is not a certificate"'],
  [/(?<!\bthere )\b(?:is|are) no (?!longer\b|later\b|more\b)/i, '"is not a"'],
  [/\b(?:he|him|his|she|hers)\b/i, '"it", "they", or the noun'],
  [/\bso (?:long|many)\b/i, 'the time or the number, or "while"'],
  [/\b(?:anybody|somebody|whoever|whomever|whom)\b/i, 'the noun, as in "a client that"'],
  [/(?:^|[,;:] |\b(?:and|as|at|by|for|from|if|in|is|of|or|than|to|when|with) )who\b/i, 'the noun'],
  [/^(?:also|and|but|nor|or|so|then)\b/i, 'a subject first'],
]

/** A name outside of every `describe` has only itself: it begins with its subject. */
const WITHOUT_SUBJECT =
  /^(?:\[[^\]]+\] )*(?:are|do|does|gets|gives|has|have|is|it|its|keeps|one(?= (?:that|whose)\b)|says|takes|that|they|this|those|was|were|what|which|who|whose)\b/i

export interface TestTitle {
  readonly line: number
  readonly text: string
  /** Of a test outside of every `describe`. */
  readonly stands: boolean
}

const TITLE =
  /(?<call>\b(?:describe\w*|it|itOf\w+|test)(?:\.\w+)*|\)(?=\())\(\s*(?:'(?<single>(?:[^'\\\n]|\\.)*)'|"(?<double>(?:[^"\\\n]|\\.)*)"|`(?<template>(?:[^`\\]|\\.)*)`),/g

/** The titles of a file of tests, with those that follow a table: `it.each(…)('title', …)`. */
export function testTitles({ text }: SourceFile): readonly TestTitle[] {
  return [...text.matchAll(TITLE)].map((match) => {
    const { call = '', single, double, template } = match.groups ?? {}
    const before = text.slice(0, match.index)
    const isIndented = /^[ \t]/.test(text.slice(before.lastIndexOf('\n') + 1))
    return {
      line: before.split('\n').length,
      text: single ?? double ?? template ?? '',
      stands: !isIndented && !call.startsWith('describe'),
    }
  })
}

/** What is unclear in a title; empty where nothing is. */
export function unclearIn(title: Pick<TestTitle, 'text' | 'stands'>): readonly string[] {
  const wording = title.text.replace(/^(?:\[[^\]]+\] )+/, '')
  const found = UNCLEAR.filter(([unclear]) => unclear.test(wording)).map(([, instead]) => instead)
  return title.stands && WITHOUT_SUBJECT.test(wording) ? [...found, 'a subject first'] : found
}
