// The pipelines that people get from us: files below pipelines/, those in README.md and the operations guide, and what `lifeboat init` writes.
import { globSync, readFileSync } from 'node:fs';
import { initFiles } from '../../shared/config/init.ts';
import { EXAMPLE } from '../../scripts/generators/pipelines.ts';
import { mongodbComponent } from '../../shared/mongodb/init.ts';
import { REPOSITORY, TAG, TASK_VERSION } from '../../shared/cli/project.ts';

export interface ShippedYaml {
  /** Where it comes from, for test titles. */
  name: string;
  host: 'github' | 'azure';
  content: string;
}

/** Every whole workflow and pipeline that we ship. */
export function shippedYaml(): ShippedYaml[] {
  const files = globSync('pipelines/{github,azure}/**/*.{yml,yaml}').map((name) => ({ name, content: readFileSync(name, 'utf8') }));
  const own = globSync('.github/workflows/*.{yml,yaml}').map((name) => ({ name, content: readFileSync(name, 'utf8') }));
  const blocks = ['README.md', 'docs/operations.md'].flatMap(wholeBlocks);
  return [...files, ...own, ...blocks, ...written()].map((yaml) => ({
    ...yaml,
    host: /^\s*runs-on:/m.test(yaml.content) ? 'github' : 'azure',
  }));
}

/** The YAML blocks of a page that are a whole workflow or pipeline. */
function wholeBlocks(page: string): { name: string; content: string }[] {
  return [...readFileSync(page, 'utf8').matchAll(/```ya?ml\n([\s\S]*?)```/g)]
    .map((match, index) => ({ name: `${page}, block ${index + 1}`, content: match[1] as string }))
    .filter(({ content }) => /^jobs:/m.test(content));
}

/** What `lifeboat init` writes for a project in Azure, for one in folders, and for databases inside a cluster. */
function written(): { name: string; content: string }[] {
  const answers = { ...EXAMPLE, serviceConnection: 'backup connection: prod' };
  const published = { repository: REPOSITORY, tag: TAG, taskMajor: TASK_VERSION.Major };
  const folders = { ...answers, store: '/mnt/backups', vault: '/mnt/keys' };
  const of = mongodbComponent({ namespace: 'rocketchat', selector: 'app.kubernetes.io/name=mongodb' });
  return [answers, folders, { ...answers, of }, { ...folders, of }].flatMap((one, index) =>
    initFiles(one, published)
      .filter(({ path }) => path !== 'dr.yml')
      .map(({ path, content }) => ({ name: `lifeboat init ${index + 1}: ${path}`, content })),
  );
}
