// The icon, drawn by code: a life buoy, as a PNG.
import { crc32, deflateSync } from 'node:zlib';

const ORANGE = [0xe8, 0x59, 0x0c] as const;
const WHITE = [0xff, 0xff, 0xff] as const;
/** Samples per pixel and direction: smooth edges. */
const SAMPLES = 4;

/** A square RGBA PNG. Equal on every machine: the data is stored, not compressed, as compressors differ. */
export function lifeBuoyPng(size: number): Buffer {
  const rows: Buffer[] = [];
  for (let y = 0; y < size; y += 1) {
    const row = Buffer.alloc(1 + size * 4);
    for (let x = 0; x < size; x += 1) row.set(pixel(x, y, size), 1 + x * 4);
    rows.push(row);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  // 8 bits per channel, RGBA, no interlace.
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows), { level: 0 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The mean colour of a pixel's samples; transparent outside the ring. */
function pixel(x: number, y: number, size: number): number[] {
  const sum = [0, 0, 0];
  let inside = 0;
  for (let sample = 0; sample < SAMPLES * SAMPLES; sample += 1) {
    const dx = (x + ((sample % SAMPLES) + 0.5) / SAMPLES) / size - 0.5;
    const dy = (y + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES) / size - 0.5;
    const radius = Math.hypot(dx, dy);
    if (radius > 0.47 || radius < 0.2) continue;
    inside += 1;
    // Four white bands, on the diagonals.
    const color = Math.abs(Math.abs(dx) - Math.abs(dy)) < 0.1 ? WHITE : ORANGE;
    color.forEach((value, channel) => (sum[channel] = (sum[channel] as number) + value));
  }
  if (inside === 0) return [0, 0, 0, 0];
  return [...sum.map((value) => Math.round(value / inside)), Math.round((inside / SAMPLES ** 2) * 255)];
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}
