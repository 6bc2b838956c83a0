// Listing pages as Azure documents them, read by this project and by the SDK: the same blobs.
import { describe, expect, test } from '@jest/globals';
import { ContainerClient } from '@azure/storage-blob';
import type { PipelinePolicy, PipelineResponse } from '@azure/core-rest-pipeline';
import { listPage, READING_LISTINGS, readListing } from '../../shared/stores/azure/listing.ts';

const blob = (name: string, properties = '', metadata = ''): string =>
  `<Blob>${name.startsWith('<') ? name : `<Name>${name}</Name>`}<Properties><Creation-Time>Sat, 21 Nov 2026 06:37:06 GMT</Creation-Time>` +
  '<Last-Modified>Sat, 21 Nov 2026 06:37:06 GMT</Last-Modified><Etag>0x8CBFF45D8A29A19</Etag><Content-Length>4</Content-Length>' +
  `<Content-Type>application/octet-stream</Content-Type><Content-Encoding /><BlobType>BlockBlob</BlobType>${properties}</Properties>${metadata}<OrMetadata /></Blob>`;
const page = (blobs: string, marker = '<NextMarker />'): string =>
  `\uFEFF<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a.blob.core.windows.net/" ContainerName="c">` +
  `<Prefix>p/</Prefix><MaxResults>5000</MaxResults>${blobs === '' ? '<Blobs />' : `<Blobs>${blobs}</Blobs>`}${marker}</EnumerationResults>`;

/** Lists with a client to which the service answers this; `own`: whether the page was read without the SDK. */
async function listed(xml: string, own: boolean) {
  const service: PipelinePolicy = {
    name: 'service',
    async sendRequest(request): Promise<PipelineResponse> {
      const headers = request.headers;
      headers.set('content-type', 'application/xml');
      return { request, status: 200, headers, bodyAsText: xml };
    },
  };
  const additionalPolicies = [...(own ? READING_LISTINGS.additionalPolicies : []), { policy: service, position: 'perRetry' as const }];
  const options = { additionalPolicies, retryOptions: { maxTries: 1 } };
  return listPage(new ContainerClient('https://a.blob.core.windows.net/c?sig=x', undefined, options), {}, { maxPageSize: 5000 });
}

const KNOWN = {
  'an empty one': page(''),
  'one with a next page': page(blob('a'), '<NextMarker>2!92!MDAw&amp;MDI2--</NextMarker>'),
  'names and values with entities': page(
    blob('p/a &amp; b &lt;c&gt; ü 😀', '', '<Metadata><reason>&quot;a&quot; &amp; &apos;b&apos;</reason><empty /><none></none></Metadata>'),
  ),
  'legal holds and immutability': page(
    blob(
      'held',
      '<ImmutabilityPolicyUntilDate>Fri, 31 Dec 2027 00:00:00 GMT</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>Unlocked</ImmutabilityPolicyMode><LegalHold>true</LegalHold>',
    ) + blob('free', '<LegalHold>false</LegalHold>', '<Metadata />'),
  ),
  'comments, and character data in brackets': page(`<!-- hello -->${blob('a', '', '<Metadata><a><![CDATA[<&>]]></a></Metadata>')}`),
  'names of elements as keys of metadata': page(
    blob('a', '', '<Metadata><Blob>x</Blob><Metadata>y</Metadata><Name>z</Name><Properties>p</Properties></Metadata>'),
  ),
  'space between the elements': page(` ${blob('a', '', '<Metadata><a> 1 </a></Metadata>')} ${blob('b')} `),
};
const STRANGE = {
  'an encoded name': page(blob('<Name Encoded="true">a%EF%BF%BEb</Name>')),
  'an element within a property': page(blob('a', '<LegalHold><a /></LegalHold>')),
};

describe('a listing page of Azure', () => {
  test.each(Object.entries(KNOWN))('%s is read as the SDK reads it', async (_name, xml) => {
    expect(readListing(xml)).toBeDefined();
    const own = await listed(xml, true);
    expect(own).toEqual(await listed(xml, false));
    expect(own).toEqual(readListing(xml));
  });

  test('the facts of a blob', () => {
    expect(readListing(KNOWN['names and values with entities'])?.blobs).toEqual([
      {
        ...{ name: 'p/a & b <c> ü 😀', size: 4, modified: new Date('2026-11-21T06:37:06Z'), etag: '0x8CBFF45D8A29A19' },
        ...{ metadata: { reason: `"a" & 'b'`, empty: '', none: '' }, legalHold: false, immutableUntil: undefined },
      },
    ]);
    expect(readListing(KNOWN['legal holds and immutability'])?.blobs).toMatchObject([
      { name: 'held', legalHold: true, immutableUntil: new Date('2027-12-31T00:00:00Z') },
      { name: 'free', legalHold: false },
    ]);
    expect(readListing(KNOWN['one with a next page'])?.next).toBe('2!92!MDAw&MDI2--');
    // The SDK leaves these as they are.
    expect(readListing(page(blob('&#x41;&#66;')))?.blobs[0]?.name).toBe('AB');
  });

  test.each(Object.entries(STRANGE))('%s is left to the SDK', async (_name, xml) => {
    expect(readListing(xml)).toBeUndefined();
    expect((await listed(xml, true)).blobs).toHaveLength(1);
  });

  test.each([
    ['cut in a blob', page(blob('a')).slice(0, 400)],
    ['cut before the end of the blobs', page(blob('a')).replace(/<\/Blobs>.*/, '')],
    ['a size that is no number', page(blob('a')).replace('>4<', '>four<')],
    ['a date that is none', page(blob('a')).replace('Sat, 21 Nov 2026 06:37:06 GMT</Last', 'soon</Last')],
    ['an entity that nobody knows', page(blob('a&nbsp;b'))],
    ['another element among the blobs', page(`<BlobPrefix><Name>a/</Name></BlobPrefix>${blob('a')}`)],
    ['no listing at all', '<html>Welcome</html>'],
  ])('%s is not taken for a listing', (_name, xml) => {
    expect(readListing(xml)).toBeUndefined();
  });
});
