// The checksum that travels with each block, so that the service refuses what was damaged on the way.
import { getFips, hash } from 'node:crypto';
import { createCRC64 } from 'hash-wasm';

/** One of the two checksums that the service checks on arrival (and repeats the request for, see azure-retry.ts). */
export type TransferChecksum = { transactionalContentMD5: Uint8Array } | { transactionalContentCrc64: Uint8Array };

/** The polynomial of Azure's CRC-64 (CRC-64/NVME), reversed, as hash-wasm wants it. */
const AZURE_CRC64 = '9a6c9329ac4bc9b5';

/**
 * Makes the function that computes a block's checksum. MD5: 840 MiB/s here, and Azurite takes blocks with it at twice the speed of those with
 * a CRC-64 or none. CRC-64 computes at 1670 MiB/s and serves where OpenSSL runs in FIPS mode, which has no MD5.
 */
export async function transferChecksum(fips = getFips() === 1): Promise<(block: Uint8Array) => TransferChecksum> {
  if (!fips) return (block) => ({ transactionalContentMD5: hash('md5', block, 'buffer') });
  const crc = await createCRC64(AZURE_CRC64);
  // The header has the least significant byte first.
  return (block) => ({ transactionalContentCrc64: crc.init().update(block).digest('binary').reverse() });
}
