// docs/threat-model.md stays true: what it says holds a promise is there, and no part of the fault campaign goes unmentioned.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { PARTS } from '../campaign/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const text = readFileSync(`${root}docs/threat-model.md`, 'utf8');
const rows = text.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| promise') && !line.startsWith('| ---'));
const mentioned = [...text.matchAll(/faults --only ([a-z0-9 -]+)/g)].flatMap(([, names = '']) => names.trim().split(' '));

test('every promise names what holds it', () => {
  expect(rows.length).toBeGreaterThan(10);
  for (const row of rows) expect(row).toMatch(/`(?:faults --only [a-z0-9 -]+|test\/[\w./-]+)`/);
});

test('every part of the campaign and every test that it names is there', () => {
  const parts = new Set(PARTS.map(({ name }) => name));
  expect(mentioned.filter((name) => !parts.has(name))).toEqual([]);
  const files = [...text.matchAll(/`(test\/[\w./-]+)`/g)].map(([, path = '']) => path);
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((path) => !existsSync(root + path))).toEqual([]);
});

test('every part of the campaign is named beside a promise', () => {
  expect(PARTS.map(({ name }) => name).filter((name) => !mentioned.includes(name))).toEqual([]);
});
