// Where bytes go, as dr.yml says it: one entry per kind of store, described beside the store itself.
import { z } from 'zod';
import { STORES } from '../stores/open.ts';

type Schema = Awaited<ReturnType<(typeof STORES)[keyof typeof STORES]['schema']>>;

export const storeSchema = z.discriminatedUnion(
  'kind',
  (await Promise.all(Object.values(STORES).map(async (kind): Promise<Schema> => kind.schema()))) as [Schema, ...Schema[]],
);
