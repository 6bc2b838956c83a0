// A stranger's clone has no ../shared: what is in it is read inside tests and hooks only, since the body of a `describe` always runs.
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { filesWithReference } from '../testing/reference.ts';

/** Lines of a file that reach for the reference while tests are collected. */
function earlyReads(text: string): number[] {
  const file = ts.createSourceFile('x.ts', text, ts.ScriptTarget.Latest, true);
  const lines: number[] = [];
  const visit = (node: ts.Node, within: 'collection' | 'run'): void => {
    if (ts.isImportDeclaration(node)) return;
    const isReference = ts.isIdentifier(node) && node.text === 'sharedReference';
    const isPath = ts.isStringLiteralLike(node) && /^(?:\.\.\/)+shared\/(?:fixtures|schemas|specs|examples|reference)\b/.test(node.text);
    if ((isReference || isPath) && within === 'collection') lines.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    const inside = ts.isFunctionLike(node) && !isBodyOfDescribe(node) ? 'run' : within;
    ts.forEachChild(node, (child) => {
      visit(child, inside);
    });
  };
  visit(file, 'collection');
  return lines;
}

/** True for the function that a call of describe, describe.each(…) or describeIf(…)(…) is given. */
function isBodyOfDescribe(node: ts.Node): boolean {
  const call = node.parent;
  if (!ts.isCallExpression(call) || !(call.arguments as readonly ts.Node[]).includes(node)) return false;
  let callee: ts.Expression = call.expression;
  while (!ts.isIdentifier(callee)) {
    if (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee) || ts.isTaggedTemplateExpression(callee)) {
      callee = ts.isTaggedTemplateExpression(callee) ? callee.tag : callee.expression;
    } else return false;
  }
  return /^(?:describe|with)/.test(callee.text);
}

test.each(globSync('test/**/*.ts').filter((file) => file !== 'test/support/needs.ts'))('%s reads no reference too early', (file) => {
  expect(earlyReads(readFileSync(file, 'utf8'))).toEqual([]);
});

test('the files that CI runs a second time are found', () => {
  expect(filesWithReference('unit')).toContain('test/mongodb/archive.unit.test.ts');
  expect(filesWithReference('acceptance')).toContain('test/acceptance/generated.acceptance.test.ts');
});

describe('the rule', () => {
  test.each([
    'const x = readFileSync(sharedReference + "a");',
    'describeWithReference("a")("b", () => {\n  const x = readFileSync(`${sharedReference}a`);\n});',
    'describe.each([1])("b", () => {\n  test.each(readdirSync(sharedReference))("x", () => {});\n});',
    'describe("b", () => {\n  const x = readFileSync("../shared/fixtures/field/a");\n});',
  ])('refuses %j', (text) => {
    expect(earlyReads(text)).toHaveLength(1);
  });

  test.each([
    'import { sharedReference } from "./needs.ts";',
    'describe("b", () => {\n  test("x", () => { readFileSync(sharedReference); });\n});',
    'describe("b", () => {\n  beforeAll(async () => { read(sharedReference); });\n});',
    'const read = (name) => readFileSync(sharedReference + name);',
  ])('takes %j', (text) => {
    expect(earlyReads(text)).toEqual([]);
  });
});
