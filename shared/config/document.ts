// dr.yml as YAML: syntax errors in plain words, and the line and column of every path.
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  Parser,
  type Document,
  type Node,
  type Pair,
  type YAMLError,
  visit,
} from 'yaml';
import { errorMessage } from '../step/errors.ts';
import { ConfigError, type ConfigProblem, type Position } from './problem.ts';

const MAX_CHARACTERS = 1_000_000;
/** A file written by people repeats an anchor some dozens of times; "billion laughs" needs thousands. */
const MAX_ALIASES = 100;
/** What a dr.yml nests is less than ten deep; thousands would overflow the stack of whatever reads it. */
const MAX_DEPTH = 64;

/** A dr.yml that is well-formed YAML. */
export interface YamlFile {
  /** The content as plain values, aliases and merge keys resolved. */
  data: unknown;
  /** Where a key (`key`) or its value stands; the nearest parent's place when the path is not in the file. */
  locate(path: readonly PropertyKey[], what?: 'key' | 'value'): Position;
  /** Every text in the file, as values and as keys, with its path. */
  texts: { path: PropertyKey[]; text: string; position: Position }[];
}

/**
 * Reads YAML 1.2 with merge keys.
 * @param file how messages call the file
 * @throws ConfigError with every syntax error
 */
export function parseYaml(content: string, file: string): YamlFile {
  const whole = { line: 1, column: 1, path: '' };
  if (content.length > MAX_CHARACTERS) {
    throw new ConfigError(file, [{ ...whole, message: 'is larger than 1 MB: this is not a dr.yml' }]);
  }
  const source = content.replace(/^\uFEFF/, '');
  const foreign = foreignBytes(source);
  if (foreign !== undefined) throw new ConfigError(file, [foreign]);
  const tooDeep = depthProblem(source);
  if (tooDeep !== undefined) throw new ConfigError(file, [tooDeep]);
  const counter = new LineCounter();
  const document = parseDocument(source, { lineCounter: counter, prettyErrors: false, merge: true });
  const at = (offset: number): Position => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const syntax = [...document.errors, ...document.warnings].map((error) => ({ offset: error.pos[0], message: explainYaml(error) }));
  const problems = [...syntax, ...structureProblems(document)].map(({ offset, message }) => ({ ...at(offset), path: '', message }));
  if (problems.length > 0) throw new ConfigError(file, distinct(problems));
  if (document.contents === null) throw new ConfigError(file, [{ ...whole, message: 'is empty. Start with: version: 1' }]);
  return {
    data: toData(document, file, at),
    locate: (path, what = 'value') => at(nodeOffset(document, path, what)),
    texts: [...texts(document, document.contents, [], at)],
  };
}

function toData(document: Document, file: string, at: (offset: number) => Position): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (thrown) {
    const message = /alias count/.test(errorMessage(thrown))
      ? `uses aliases (*name) more than ${MAX_ALIASES} times: write the values out`
      : `cannot be read: ${errorMessage(thrown)}`;
    throw new ConfigError(file, [{ ...at(oneAliasTooMany(document)), path: '', message }]);
  }
}

/** The first alias beyond the limit; with fewer, which are multiplied by each other, the last one. */
function oneAliasTooMany(document: Document): number {
  const offsets: number[] = [];
  visit(document, { Alias: (_key, node) => void offsets.push(start(node) ?? 0) });
  return offsets[Math.min(MAX_ALIASES, offsets.length - 1)] ?? 0;
}

/** A file that an editor saved as something else than lines of UTF-8. */
function foreignBytes(source: string): ConfigProblem | undefined {
  if (/\r/.test(source) && !source.includes('\n')) {
    return { line: 1, column: source.indexOf('\r') + 1, path: '', message: 'lines end with CR alone: save the file with LF or CR LF' };
  }
  const offset = source.search(/[\0\uFFFD]/);
  if (offset < 0) return undefined;
  return { ...placeOf(source, offset), path: '', message: 'a character here is not UTF-8: save the file as UTF-8 (not UTF-16 or ANSI)' };
}

/** Looked at before anything reads the file as a tree: that is done by functions that call themselves. */
function depthProblem(source: string): ConfigProblem | undefined {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(source)) {
    // Its results are not wanted here, only how deep it is in.
    Array.from(parser.next(lexeme));
    if (parser.stack.length > MAX_DEPTH)
      return { ...placeOf(source, parser.offset), path: '', message: `nests more than ${MAX_DEPTH} levels deep: this is not a dr.yml` };
  }
  return undefined;
}

function placeOf(source: string, offset: number): Position {
  const before = source.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

/** What is well-formed, but is no tree of plain values. */
function structureProblems(document: Document): { offset: number; message: string }[] {
  const anchors = new Set<string>();
  const found: { offset: number; message: string }[] = [];
  visit(document, {
    Node: (_key, node, parents) => {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor);
      } else if (!anchors.has(node.source)) {
        found.push({ offset: start(node) ?? 0, message: `there is no anchor &${node.source} above` });
      } else if (parents.some((parent) => isNode(parent) && !isAlias(parent) && parent.anchor === node.source)) {
        found.push({ offset: start(node) ?? 0, message: `*${node.source} stands inside of &${node.source} itself: it would have no end` });
      }
    },
    Pair: (_key, pair) => {
      if (isMap(pair.key) || isSeq(pair.key))
        found.push({ offset: start(pair.key) ?? 0, message: 'a key must be a word, not a list or a mapping' });
      if (isScalar(pair.key) && pair.key.value === null) {
        found.push({ offset: start(pair.key) ?? 0, message: 'a key is missing here' });
      }
      if (keyText(pair) === '<<' && !isMergeable(document, pair.value)) {
        found.push({ offset: start(pair.key) ?? 0, message: '<< takes in a mapping, such as *defaults' });
      }
    },
  });
  return found;
}

function isMergeable(document: Document, value: unknown): boolean {
  const source = resolved(document, value);
  return isMap(source) || (isSeq(source) && source.items.every((item) => isMap(resolved(document, item))));
}

function explainYaml({ code, message }: YAMLError): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab indents this line: YAML wants spaces';
    case 'DUPLICATE_KEY':
      return 'this key appears twice in the same mapping: keep one of them';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second colon follows in what is one value: put it in quotes, or indent the next line as far as its neighbours';
    case 'MULTIPLE_DOCS':
      return 'a second document starts here (---): dr.yml is one document';
    default:
      return `not valid YAML: ${message.replace(/\s+/g, ' ').replace(/[.:]$/, '')}`;
  }
}

/** The parser may report one slip several times at one place; the first says most. */
function distinct(problems: ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<number>();
  return problems.filter(({ line }) => !seen.has(line) && seen.add(line));
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

/** The pair of a key, own ones before merged ones (`<<`). */
function findPair(document: Document, node: unknown, key: PropertyKey): Pair | undefined {
  const map = resolved(document, node);
  if (!isMap(map)) return undefined;
  const own = map.items.find((pair) => keyText(pair) === String(key));
  if (own) return own;
  for (const pair of map.items.filter((item) => keyText(item) === '<<')) {
    const sources = resolved(document, pair.value);
    for (const source of isSeq(sources) ? sources.items : [sources]) {
      const merged = findPair(document, source, key);
      if (merged) return merged;
    }
  }
  return undefined;
}

function keyText(pair: Pair): string {
  if (!isScalar(pair.key)) return String(pair.key);
  const { value } = pair.key;
  // The merge key is a symbol of the library.
  return typeof value === 'symbol' ? (value.description ?? '') : String(value);
}

function nodeOffset(document: Document, path: readonly PropertyKey[], what: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = start(node) ?? 0;
  for (const [index, step] of path.entries()) {
    const container = resolved(document, node);
    const pair = findPair(document, container, step);
    node = pair ? pair.value : isSeq(container) ? container.items[Number(step)] : undefined;
    const key = pair && start(pair.key);
    const wanted = index === path.length - 1 && what === 'key' ? key : (start(node) ?? key);
    if (wanted === undefined) break;
    offset = wanted;
  }
  return offset;
}

function start(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function* texts(
  document: Document,
  node: unknown,
  path: PropertyKey[],
  at: (offset: number) => Position,
): Generator<YamlFile['texts'][number]> {
  if (isMap(node)) {
    for (const pair of node.items) {
      const key = keyText(pair);
      if (isNode(pair.key)) yield { path: [...path, key], text: key, position: at(start(pair.key) ?? 0) };
      yield* texts(document, pair.value, [...path, key], at);
    }
  } else if (isSeq(node)) {
    for (const [index, item] of (node.items as Node[]).entries()) yield* texts(document, item, [...path, index], at);
  } else if (isScalar(node) && typeof node.value === 'string') {
    yield { path, text: node.value, position: at(start(node) ?? 0) };
  }
}
