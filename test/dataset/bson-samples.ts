// One value of every BSON type, and of every value within a type that databases are known to get wrong.
import { BSON } from '../../shared/mongodb/bson.ts';

const { BSONRegExp, BSONSymbol, Binary, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } = BSON;
const ID = '65a0c0ffee0123456789abcd';

/** Name → value. Which of them a server keeps is found out by asking it (`probeServer`): the stand-ins for MongoDB do not take all. */
export const BSON_SAMPLES: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['double', new Double(1.5)],
  ['double-whole', new Double(3)],
  ['double-smallest', new Double(5e-324)],
  ['double-largest', new Double(Number.MAX_VALUE)],
  ['double-infinity', new Double(Infinity)],
  ['double-nan', new Double(NaN)],
  ['double-minus-zero', new Double(-0)],
  ['string', 'Zażółć gęślą jaźń · 日本語 · 👩‍🚀'],
  ['string-empty', ''],
  ['string-with-nul', 'before\0after'],
  ['document', { theme: 'dark', nested: { level: 2, empty: {} } }],
  ['document-dotted-key', { 'example.org': true }],
  ['array', ['a', 1, null, { b: [true] }]],
  ['array-empty', []],
  ['array-nested', [[1, 2], [3]]],
  ['binary', new Binary(Buffer.from([0, 1, 2, 253, 254, 255]))],
  ['binary-empty', new Binary(Buffer.alloc(0))],
  ['binary-old', new Binary(Buffer.from('old'), Binary.SUBTYPE_BYTE_ARRAY)],
  ['binary-md5', new Binary(Buffer.alloc(16, 7), Binary.SUBTYPE_MD5)],
  ['binary-user-defined', new Binary(Buffer.from('custom'), Binary.SUBTYPE_USER_DEFINED)],
  ['uuid', new UUID('0f8fad5b-d9cb-469f-a165-70867728950e')],
  ['object-id', new ObjectId(ID)],
  ['false', false],
  ['date', new Date('2026-02-28T23:59:59.999Z')],
  ['date-before-1970', new Date('1815-12-10T00:00:00Z')],
  ['null', null],
  ['regular-expression', new BSONRegExp('^@(all|here)\\b', 'i')],
  ['reference', { $ref: 'users', $id: new ObjectId(ID) }],
  ['code', new Code('function () { return 1; }')],
  ['code-with-scope', new Code('function () { return x; }', { x: 1 })],
  ['symbol', new BSONSymbol('legacy')],
  ['int32', new Int32(-2_147_483_648)],
  ['timestamp', new Timestamp({ t: 1_767_225_600, i: 7 })],
  ['int64', Long.fromString('9007199254740993')],
  ['int64-smallest', Long.MIN_VALUE],
  ['decimal128', Decimal128.fromString('1234567890.123456789012345678901234')],
  ['min-key', new MinKey()],
  ['max-key', new MaxKey()],
]);

/** The document in which a sample is stored. */
export function sampleDocument(name: string, value: unknown): BSON.Document {
  return { _id: `sample-${name}`, type: name, value };
}
