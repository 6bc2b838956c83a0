// No file imports itself by way of others: each can be read, and changed, with only what lies below it in mind.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from '@jest/globals';

type Graph = Map<string, readonly string[]>;

/** Every import that is there from the start, types among them. One that is made later, in a function, may close a circle: nothing waits for it. */
function graphOf(files: readonly string[]): Graph {
  return new Map(
    files.map((file) => {
      const text = readFileSync(file, 'utf8');
      const imports = [...text.matchAll(/^(?:(?:import|export)\b[^;'"]*?\bfrom|import)\s+'(\.[^']+)'/gm)];
      return [file, imports.map((match) => normalize(join(dirname(file), match[1] as string)))];
    }),
  );
}

/** The first circle, as the way around it; empty when there is none. */
function circleIn(graph: Graph): string[] {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...way, file]);
      if (circle.length > 0) return circle;
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle.length > 0) return circle;
  }
  return [];
}

test('no file of the product, of scripts/ or of test/ imports itself by way of others', () => {
  const graph = graphOf(globSync(['shared/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts']).filter((file) => !file.endsWith('.d.ts')));
  expect([...graph.values()].flat().length).toBeGreaterThan(1000);
  expect(circleIn(graph)).toEqual([]);
});

describe('the test itself', () => {
  const graph = (...arrows: [from: string, to: string[]][]): Graph => new Map(arrows);

  test('finds a circle of any length and names the way around', () => {
    expect(circleIn(graph(['x', ['a']], ['a', ['b']], ['b', ['c']], ['c', ['a']]))).toEqual(['a', 'b', 'c', 'a']);
    expect(circleIn(graph(['a', ['a']]))).toEqual(['a', 'a']);
  });

  test('two ways to one file are no circle', () => {
    expect(circleIn(graph(['a', ['b', 'c']], ['b', ['d']], ['c', ['d']], ['d', []]))).toEqual([]);
  });
});
