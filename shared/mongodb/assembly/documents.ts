// One pass over a run of BSON documents: lengths and elements checked, CRC-64/XZ of all bytes, and the sum modulo 2^128
// of the XXH3-128 of each document. AssemblyScript, compiled to WebAssembly (shared/mongodb/documents.wasm.ts) by scripts/generate.
//
// XXH3-128: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, seed 0, default secret.
// CRC-64/XZ: reflected polynomial 0xC96C5795D7870F42, initial value and final xor all ones (Go's hash/crc64 ECMA table).

const P32_1: u64 = 0x9e3779b1;
const P32_2: u64 = 0x85ebca77;
const P32_3: u64 = 0xc2b2ae3d;
const P64_1: u64 = 0x9e3779b185ebca87;
const P64_2: u64 = 0xc2b2ae3d27d4eb4f;
const P64_3: u64 = 0x165667b19e3779f9;
const P64_4: u64 = 0x85ebca77c2b2ae63;
const P64_5: u64 = 0x27d4eb2f165667c5;
const MX1: u64 = 0x165667919e3779f9;
const MX2: u64 = 0x9fb21c651e98df25;

// prettier-ignore
const SECRET: usize = memory.data<u8>([
  0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
  0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
  0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
  0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
  0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
  0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
  0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
  0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
  0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
  0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
  0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
  0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]);

// Results of a 128-bit multiplication and of a hash; globals because WebAssembly functions return one value.
let high: u64 = 0;
let hashLow: u64 = 0;
let hashHigh: u64 = 0;

/** Low 64 bits of a*b; the high 64 bits go into `high`. */
@inline function multiply(a: u64, b: u64): u64 {
  const al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
  const ll = al * bl, hl = ah * bl, lh = al * bh, hh = ah * bh;
  const cross = (ll >> 32) + (hl & 0xffffffff) + lh;
  high = (hl >> 32) + (cross >> 32) + hh;
  return (cross << 32) | (ll & 0xffffffff);
}

@inline function fold(a: u64, b: u64): u64 {
  const al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
  const ll = al * bl, hl = ah * bl, lh = al * bh, hh = ah * bh;
  const cross = (ll >> 32) + (hl & 0xffffffff) + lh;
  return ((hl >> 32) + (cross >> 32) + hh) ^ ((cross << 32) | (ll & 0xffffffff));
}

@inline function avalanche(h: u64): u64 {
  h ^= h >> 37;
  h *= MX1;
  return h ^ (h >> 32);
}

@inline function secret(offset: usize): u64 {
  return load<u64>(SECRET + offset);
}

@inline function mix16(p: usize, s: usize): u64 {
  return fold(load<u64>(p) ^ load<u64>(s), load<u64>(p, 8) ^ load<u64>(s, 8));
}

let accLow: u64 = 0;
let accHigh: u64 = 0;

@inline function mix32(p1: usize, p2: usize, s: usize): void {
  accLow = (accLow + mix16(p1, s)) ^ (load<u64>(p2) + load<u64>(p2, 8));
  accHigh = (accHigh + mix16(p2, s + 16)) ^ (load<u64>(p1) + load<u64>(p1, 8));
}

function finishShort(length: u64): void {
  const low = accLow + accHigh;
  const h = accLow * P64_1 + accHigh * P64_4 + length * P64_2;
  hashLow = avalanche(low);
  hashHigh = 0 - avalanche(h);
}

/** 4 to 8 bytes. */
function hash4to8(p: usize, length: usize): void {
  const value = <u64>load<u32>(p) + (<u64>load<u32>(p + length - 4) << 32);
  let low = multiply(value ^ (secret(16) ^ secret(24)), P64_1 + (<u64>length << 2));
  let h = high + (low << 1);
  low ^= h >> 3;
  low ^= low >> 35;
  low *= MX2;
  low ^= low >> 28;
  hashLow = low;
  hashHigh = avalanche(h);
}

/** 9 to 16 bytes. */
function hash9to16(p: usize, length: usize): void {
  const flipLow = secret(32) ^ secret(40);
  const flipHigh = secret(48) ^ secret(56);
  const inputLow = load<u64>(p);
  let inputHigh = load<u64>(p + length - 8);
  let low = multiply(inputLow ^ inputHigh ^ flipLow, P64_1);
  let h = high;
  low += (<u64>length - 1) << 54;
  inputHigh ^= flipHigh;
  h += inputHigh + (inputHigh & 0xffffffff) * (P32_2 - 1);
  low ^= bswap<u64>(h);
  const low2 = multiply(low, P64_2);
  const high2 = high + h * P64_2;
  hashLow = avalanche(low2);
  hashHigh = avalanche(high2);
}

function hash17to128(p: usize, length: usize): void {
  accLow = <u64>length * P64_1;
  accHigh = 0;
  const end = p + length;
  if (length > 32) {
    if (length > 64) {
      if (length > 96) mix32(p + 48, end - 64, SECRET + 96);
      mix32(p + 32, end - 48, SECRET + 64);
    }
    mix32(p + 16, end - 32, SECRET + 32);
  }
  mix32(p, end - 16, SECRET);
  finishShort(length);
}

function hash129to240(p: usize, length: usize): void {
  accLow = <u64>length * P64_1;
  accHigh = 0;
  const rounds = length >> 5;
  for (let i: usize = 0; i < 4; i++) mix32(p + 32 * i, p + 32 * i + 16, SECRET + 32 * i);
  accLow = avalanche(accLow);
  accHigh = avalanche(accHigh);
  for (let i: usize = 4; i < rounds; i++) mix32(p + 32 * i, p + 32 * i + 16, SECRET + 3 + 32 * (i - 4));
  mix32(p + length - 16, p + length - 32, SECRET + 103);
  finishShort(length);
}

@inline function stripe(acc0: v128, p: usize, s: usize): v128 {
  const data = v128.load(p);
  const key = v128.xor(data, v128.load(s));
  const sum = i64x2.add(acc0, i8x16.shuffle(data, data, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const even = i8x16.shuffle(key, key, 0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11);
  const odd = i8x16.shuffle(key, key, 4, 5, 6, 7, 12, 13, 14, 15, 4, 5, 6, 7, 12, 13, 14, 15);
  return i64x2.add(sum, i64x2.extmul_low_i32x4_u(even, odd));
}

@inline function scramble(acc: v128, s: usize): v128 {
  const mixed = v128.xor(v128.xor(acc, i64x2.shr_u(acc, 47)), v128.load(s));
  return i64x2.mul(mixed, i64x2.splat(<i64>P32_1));
}

/** More than 240 bytes. */
function hashLong(p: usize, length: usize): void {
  let a0 = i64x2(<i64>P32_3, <i64>P64_1);
  let a1 = i64x2(<i64>P64_2, <i64>P64_3);
  let a2 = i64x2(<i64>P64_4, <i64>P32_2);
  let a3 = i64x2(<i64>P64_5, <i64>P32_1);
  const blocks = (length - 1) >> 10;
  let at = p;
  for (let block: usize = 0; block < blocks; block++) {
    for (let s: usize = SECRET; s < SECRET + 128; s += 8) {
      a0 = stripe(a0, at, s);
      a1 = stripe(a1, at + 16, s + 16);
      a2 = stripe(a2, at + 32, s + 32);
      a3 = stripe(a3, at + 48, s + 48);
      at += 64;
    }
    a0 = scramble(a0, SECRET + 128);
    a1 = scramble(a1, SECRET + 144);
    a2 = scramble(a2, SECRET + 160);
    a3 = scramble(a3, SECRET + 176);
  }
  const stripes = (length - 1 - (blocks << 10)) >> 6;
  for (let i: usize = 0; i < stripes; i++) {
    const s = SECRET + i * 8;
    a0 = stripe(a0, at, s);
    a1 = stripe(a1, at + 16, s + 16);
    a2 = stripe(a2, at + 32, s + 32);
    a3 = stripe(a3, at + 48, s + 48);
    at += 64;
  }
  at = p + length - 64;
  a0 = stripe(a0, at, SECRET + 121);
  a1 = stripe(a1, at + 16, SECRET + 137);
  a2 = stripe(a2, at + 32, SECRET + 153);
  a3 = stripe(a3, at + 48, SECRET + 169);

  const l0 = <u64>i64x2.extract_lane(a0, 0), l1 = <u64>i64x2.extract_lane(a0, 1);
  const l2 = <u64>i64x2.extract_lane(a1, 0), l3 = <u64>i64x2.extract_lane(a1, 1);
  const l4 = <u64>i64x2.extract_lane(a2, 0), l5 = <u64>i64x2.extract_lane(a2, 1);
  const l6 = <u64>i64x2.extract_lane(a3, 0), l7 = <u64>i64x2.extract_lane(a3, 1);
  hashLow = avalanche(
    <u64>length * P64_1 +
      fold(l0 ^ secret(11), l1 ^ secret(19)) + fold(l2 ^ secret(27), l3 ^ secret(35)) +
      fold(l4 ^ secret(43), l5 ^ secret(51)) + fold(l6 ^ secret(59), l7 ^ secret(67)),
  );
  hashHigh = avalanche(
    ~(<u64>length * P64_2) +
      fold(l0 ^ secret(117), l1 ^ secret(125)) + fold(l2 ^ secret(133), l3 ^ secret(141)) +
      fold(l4 ^ secret(149), l5 ^ secret(157)) + fold(l6 ^ secret(165), l7 ^ secret(173)),
  );
}

@inline function hashDocument(p: usize, length: usize): void {
  if (length > 240) hashLong(p, length);
  else if (length > 128) hash129to240(p, length);
  else if (length > 16) hash17to128(p, length);
  else if (length > 8) hash9to16(p, length);
  else hash4to8(p, length);
}

// ---- CRC-64/XZ ----

const POLY: u64 = 0xc96c5795d7870f42;
/** 8 tables of 256 entries: slicing by 8. */
const TABLES: usize = memory.data(8 * 256 * 8, 16);
@inline function slice8(crc: u64): u64 {
  return (
    load<u64>(TABLES + 7 * 2048 + ((<usize>crc & 0xff) << 3)) ^
    load<u64>(TABLES + 6 * 2048 + ((<usize>(crc >> 8) & 0xff) << 3)) ^
    load<u64>(TABLES + 5 * 2048 + ((<usize>(crc >> 16) & 0xff) << 3)) ^
    load<u64>(TABLES + 4 * 2048 + ((<usize>(crc >> 24) & 0xff) << 3)) ^
    load<u64>(TABLES + 3 * 2048 + ((<usize>(crc >> 32) & 0xff) << 3)) ^
    load<u64>(TABLES + 2 * 2048 + ((<usize>(crc >> 40) & 0xff) << 3)) ^
    load<u64>(TABLES + 1 * 2048 + ((<usize>(crc >> 48) & 0xff) << 3)) ^
    load<u64>(TABLES + ((<usize>(crc >> 56)) << 3))
  );
}

function fillTables(): void {
  for (let i: usize = 0; i < 256; i++) {
    let crc: u64 = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ POLY : crc >> 1;
    store<u64>(TABLES + (i << 3), crc);
  }
  for (let t: usize = 1; t < 8; t++) {
    for (let i: usize = 0; i < 256; i++) {
      const before = load<u64>(TABLES + (t - 1) * 2048 + (i << 3));
      store<u64>(TABLES + t * 2048 + (i << 3), (before >> 8) ^ load<u64>(TABLES + ((<usize>before & 0xff) << 3)));
    }
  }
}
fillTables();

function crcByTable(start: u64, from: usize, to: usize): u64 {
  let crc = start;
  let p = from;
  for (; p + 8 <= to; p += 8) crc = slice8(crc ^ load<u64>(p));
  for (; p < to; p++) crc = (crc >> 8) ^ load<u64>(TABLES + ((<usize>(crc ^ load<u8>(p)) & 0xff) << 3));
  return crc;
}

// A CRC is the remainder of a division by the polynomial, so adding a multiple of the polynomial to the message does not change it.
// These are the distances, in bytes, between the terms of one multiple that has only eight: x^(8*3276) + x^(8*(3276-1817)) + … + 1.
// Adding it so that its first term meets the message's first byte erases that byte and changes the bytes at these distances behind it. Done
// for 16 bytes at a time this takes seven loads, a quarter of the time of the tables, and leaves 3276 bytes for them. The idea is that of
// Chorba (https://arxiv.org/abs/2412.16398). The multiple comes from a birthday search for a short one without a distance below 1.8 KB:
// nearer bytes would still be on their way from the processor's store buffer. Any multiple is as good; tests compare with hash-wasm.
const D1: usize = 1817;
const D2: usize = 2185;
const D3: usize = 2189;
const D4: usize = 2423;
const D5: usize = 2426;
const D6: usize = 3202;
/** The longest distance. */
const WINDOW: usize = 3276;
/** The last erased bytes, and zeros after them, where nothing more was erased. */
const ERASED: usize = memory.data(2 * 3276 + 32, 16);

/** What the bytes erased before `p` add to the 16 bytes at `p`. */
@inline function carried(p: usize): v128 {
  return v128.xor(
    v128.xor(v128.xor(v128.load(p - D1), v128.load(p - D2)), v128.xor(v128.load(p - D3), v128.load(p - D4))),
    v128.xor(v128.xor(v128.load(p - D5), v128.load(p - D6)), v128.load(p - WINDOW)),
  );
}

/** The CRC of the bytes in [from, to), which it may overwrite. The WINDOW bytes before `from` must be zero. */
function crcRun(start: u64, from: usize, to: usize): u64 {
  if (to - from < 2 * WINDOW) return crcByTable(start, from, to);
  store<u64>(from, load<u64>(from) ^ start);
  const rest = from + ((to - from - WINDOW) & ~15);
  for (let p = from; p < rest; p += 16) v128.store(p, v128.xor(v128.load(p), carried(p)));
  memory.copy(ERASED, rest - WINDOW, WINDOW);
  let p = rest;
  let q = ERASED + WINDOW;
  for (; p + 16 <= to; p += 16, q += 16) v128.store(p, v128.xor(v128.load(p), carried(q)));
  for (; p < to; p++, q++) store<u8>(p, load<u8>(p) ^ i8x16.extract_lane_u(carried(q), 0));
  return crcByTable(0, rest, to);
}

// ---- BSON: https://bsonspec.org/spec.html ----

/** Deepest nesting that is accepted; servers refuse more than 180 to 200 levels. */
const MAX_DEPTH: usize = 256;
/** Ends of the documents that are open, outermost first. */
const ENDS: usize = memory.data(256 * 8, 16);

/** The byte after a C string's zero that starts at `p`; beyond `end` when there is none. */
@inline function afterCString(p: usize, end: usize): usize {
  while (p < end) {
    const word = load<u64>(p);
    const zeros = (word - 0x0101010101010101) & ~word & 0x8080808080808080;
    if (zeros != 0) return p + <usize>(ctz<u64>(zeros) >> 3) + 1;
    p += 8;
  }
  return end + 1;
}

/** The byte after a string value (length, bytes, zero) at `p`; 0 when it is malformed. */
@inline function afterString(p: usize, end: usize): usize {
  const length = <usize>load<u32>(p);
  const after = p + 4 + length;
  if (length == 0 || length > 16777216 || after > end || load<u8>(after - 1) != 0) return 0;
  return after;
}

/** Bytes of a fixed-size value by type; 255 for the others. */
const FIXED: usize = memory.data(256, 16);

function fillFixed(): void {
  memory.fill(FIXED, 255, 256);
  store<u8>(FIXED + 0x01, 8);
  store<u8>(FIXED + 0x06, 0);
  store<u8>(FIXED + 0x07, 12);
  store<u8>(FIXED + 0x08, 1);
  store<u8>(FIXED + 0x09, 8);
  store<u8>(FIXED + 0x0a, 0);
  store<u8>(FIXED + 0x10, 4);
  store<u8>(FIXED + 0x11, 8);
  store<u8>(FIXED + 0x12, 8);
  store<u8>(FIXED + 0x13, 16);
  store<u8>(FIXED + 0x7f, 0);
  store<u8>(FIXED + 0xff, 0);
}
fillFixed();

/** True when every element of the document in [p, end) is whole and of a known type, down to the deepest. */
function wellFormed(start: usize, stop: usize): bool {
  let p = start + 4;
  let end = stop;
  let depth: usize = 0;
  while (p < end) {
    const type = load<u8>(p);
    p++;
    if (type == 0) {
      if (p != end) return false;
      if (depth == 0) return true;
      depth--;
      end = load<usize>(ENDS + (depth << 3));
      continue;
    }
    p = afterCString(p, end);
    const fixed = <usize>load<u8>(FIXED + <usize>type);
    if (fixed != 255) {
      p += fixed;
      continue;
    }
    if (p + 5 > end) return false;
    if (type == 0x02 || type == 0x0d || type == 0x0e) {
      p = afterString(p, end);
      if (p == 0) return false;
    } else if (type == 0x03 || type == 0x04) {
      const length = <usize>load<u32>(p);
      if (length < 5 || length > end - p || depth == MAX_DEPTH) return false;
      store<usize>(ENDS + (depth << 3), end);
      depth++;
      end = p + length;
      p += 4;
    } else if (type == 0x05) {
      const length = <usize>load<u32>(p);
      if (length > 16777216) return false;
      p += 5 + length;
    } else if (type == 0x0b) {
      p = afterCString(afterCString(p, end), end);
    } else if (type == 0x0c) {
      p = afterString(p, end);
      if (p == 0) return false;
      p += 12;
    } else if (type == 0x0f) {
      // Code with scope: total length, string, document; the document must end where the total does.
      const total = <usize>load<u32>(p);
      if (total < 14 || total > end - p || depth == MAX_DEPTH) return false;
      const scope = afterString(p + 4, p + total);
      if (scope == 0 || scope + 5 > p + total || scope + <usize>load<u32>(scope) != p + total) return false;
      store<usize>(ENDS + (depth << 3), end);
      depth++;
      end = p + total;
      p = scope + 4;
    } else {
      return false;
    }
  }
  return false;
}

// ---- The state of the namespace in work; saved and loaded by the caller when namespaces interleave. ----
export let crc: u64 = ~(<u64>0);
export let sumLow: u64 = 0;
export let sumHigh: u64 = 0;
export let documents: u64 = 0;
/** Documents whose elements are not well-formed BSON. */
export let malformed: u64 = 0;
export let status: i32 = 0;
/** Bytes that a document may have at most: 16 MiB, and 16 KiB more in an oplog. */
export let largest: u32 = 16777216;

/** `scan` stopped because the next document is not whole yet (or nothing is left). */
export const NEEDS_MORE: i32 = 0;
/** `scan` stopped before a terminator (ff ff ff ff). */
export const AT_TERMINATOR: i32 = 1;
/** `scan` stopped before a document whose length is outside 5 to `largest`. */
export const BAD_LENGTH: i32 = 2;
/** `scan` stopped before a document that does not end with a zero byte. */
export const BAD_END: i32 = 3;

/** Walks documents in [from, to), which begins at BUFFER; returns where it stopped and sets `status`. What it walked is overwritten. */
export function scan(from: usize, to: usize): usize {
  let p = from;
  let stop = NEEDS_MORE;
  let low = sumLow;
  let highSum = sumHigh;
  let count: u64 = 0;
  while (p + 4 <= to) {
    const length = load<i32>(p);
    if (<u32>(length - 5) > largest - 5) {
      stop = length == -1 ? AT_TERMINATOR : BAD_LENGTH;
      break;
    }
    const end = p + length;
    if (end > to) break;
    if (load<u8>(end - 1) != 0) {
      stop = BAD_END;
      break;
    }
    if (!wellFormed(p, end)) malformed++;
    hashDocument(p, length);
    const sum = low + hashLow;
    highSum += hashHigh + u64(sum < low);
    low = sum;
    count++;
    p = end;
  }
  crc = crcRun(crc, from, p);
  sumLow = low;
  sumHigh = highSum;
  documents += count;
  status = stop;
  return p;
}

/** Starts a namespace, or goes on with one. */
export function setState(c: u64, low: u64, h: u64, count: u64, bad: u64): void {
  crc = c;
  sumLow = low;
  sumHigh = h;
  documents = count;
  malformed = bad;
}

/** Where the caller may put bytes. Behind the module's own data, and behind zeros for `crcRun`. */
export const BUFFER: usize = __heap_base + 3280;
