// What dr.yml says of a MongoDB, besides what it says of every component.
import { z } from 'zod';
import { about, choice, plainText, secret, text } from '../schema/fields.ts';

/** `shop` or `shop.orders`, with `*` for anything; commas separate them where inputs are written as one text. */
const namespaces = (description: string, example: string[]) =>
  about(
    z
      .array(
        plainText(
          { description: 'A database or a collection; * matches anything.', example: example[0] },
          { pattern: String.raw`[^\s,$"\\/][^,$"\\/\r\n]*`, expected: 'expected a database (shop) or a collection (shop.orders)' },
        ),
        { error: `expected a list, such as [${example.join(', ')}]` },
      )
      .min(1, { error: `expected at least one entry, such as [${example.join(', ')}]` }),
    { description, example },
  ).optional();

/** A misspelt key is told by itself; that it is also missing would only confuse. */
const isWell = ({ issues }: { issues: readonly unknown[] }): boolean => issues.length === 0;

const connectionString = (description: string) =>
  secret(
    text(
      { description, example: '${env:MONGODB_URI}' },
      {
        pattern: String.raw`mongodb(?:\+srv)?://\S+`,
        expected: 'expected a connection string, such as ${env:MONGODB_URI} or mongodb://localhost:27017',
      },
    ),
  );

const kubernetesName = (description: string, example: string) =>
  plainText(
    { description, example },
    {
      pattern: '[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?',
      expected: `expected a name of lower-case letters, digits and dashes, such as ${example}`,
    },
  );

const kubernetesSchema = about(
  z
    .strictObject(
      {
        context: plainText(
          { description: 'Context in the kubeconfig; the current one when absent.', example: 'aks-prod' },
          { expected: 'expected the name of a context, such as aks-prod' },
        ).optional(),
        namespace: kubernetesName('Namespace of the pod.', 'rocketchat'),
        selector: plainText(
          {
            description: 'Label selector of the pods. Of several, a secondary is backed up and the primary is restored.',
            example: 'app.kubernetes.io/name=mongodb',
          },
          { pattern: String.raw`[^\s-][\s\S]*`, expected: 'expected a label selector, such as app.kubernetes.io/name=mongodb' },
        ).optional(),
        pod: kubernetesName('One pod by name, instead of a selector.', 'mongodb-0').optional(),
        container: kubernetesName(
          'The container with mongodump and mongorestore. Not needed when the pod has only one, or names its default.',
          'mongodb',
        ).optional(),
        uri: connectionString(
          "Connection string as seen from inside the pod. Default: localhost, with the root login of the pod's environment (official and Bitnami images).",
        ).optional(),
      },
      { error: 'expected a mapping, such as { namespace: rocketchat, selector: app.kubernetes.io/name=mongodb }' },
    )
    .refine(({ selector, pod }) => (selector === undefined) !== (pod === undefined), {
      error: 'expected one of selector (labels) and pod (a name)',
      when: isWell,
    }),
  {
    description: 'A pod that runs MongoDB: mongodump and mongorestore run inside it, as by kubectl exec (which is not needed).',
    example: { namespace: 'rocketchat', selector: 'app.kubernetes.io/name=mongodb' },
  },
);

export const shape = {
  source: about(
    z
      .strictObject(
        {
          uri: connectionString('Connection string of the MongoDB. A password in it is always a reference.').optional(),
          kubernetes: kubernetesSchema.optional(),
        },
        { error: 'expected a mapping' },
      )
      .refine(({ uri, kubernetes }) => (uri === undefined) !== (kubernetes === undefined), {
        error: 'expected one of uri (a connection string) and kubernetes (a pod)',
        when: isWell,
      }),
    { description: 'Where the data is: uri, or kubernetes.', example: { uri: '${env:MONGODB_URI}' } },
  ),
  engine: choice(['auto', 'tools', 'driver'], {
    description: 'tools: the official mongodump and mongorestore; driver: built in, nothing to install; auto: the tools if they are found.',
    example: 'auto',
  }).default('auto'),
  include: namespaces('Only these databases or collections; everything when absent.', ['rocketchat']),
  exclude: namespaces('Leave out these databases or collections.', ['rocketchat.rocketchat_sessions']),
};
