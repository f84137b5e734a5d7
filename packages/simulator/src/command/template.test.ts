import { expect, test } from 'vitest'
import { checkTemplate, isPerDevice, renderTemplate, wildcardFilter } from './template.ts'

const VALUES = { i: 7, run: '00c0ffee', id: 'dev-7' }

test.each([
  ['fleet/{{i}}/{{id}}/{{run}}', 'fleet/7/dev-7/00c0ffee'],
  ['dev-{{i|pad 6}}', 'dev-000007'],
  ['{{ i | pad 2 }}{{i}}', '077'],
  ['plain', 'plain'],
])('the template %s becomes %s', (template, name) => {
  expect(renderTemplate(template, VALUES)).toBe(name)
})

test.each([
  ['a/{{i}}/b', 'a/+/b'],
  ['a/dev-{{i}}/{{run}}', 'a/+/00c0ffee'],
  ['{{id}}/{{i|pad 3}}', '+/+'],
  ['a/b', 'a/b'],
])('the filter for all topics of the template %s is %s', (template, filter) => {
  expect(wildcardFilter(template, '00c0ffee')).toBe(filter)
})

test('only {{i}} and {{id}} distinguish the devices of a template', () => {
  const templates = ['a{{i}}', '{{id}}', '{{i|pad 4}}', '{{run}}', 'a']
  expect(templates.map(isPerDevice)).toEqual([true, true, true, false, false])
})

test('an unknown or unfinished placeholder of a template is refused by name', () => {
  expect(() => checkTemplate('--topic', 'a/{{x}}')).toThrow(/--topic: \{\{x\}\} is not known/)
  expect(() => checkTemplate('--topic', 'a/{{i')).toThrow(/unfinished/)
  expect(() => checkTemplate('--client-id', '{{id}}', ['i'])).toThrow(/use \{\{i\}\}/)
})
