// The pipelines that people copy from us: files below pipelines/, and the YAML blocks of README.md.
import { globSync, readFileSync } from 'node:fs';

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
  const readme = readFileSync('README.md', 'utf8').matchAll(/```ya?ml\n([\s\S]*?)```/g);
  const blocks = [...readme].map((match, index) => ({ name: `README.md, block ${index + 1}`, content: match[1] as string }));
  return [...files, ...own, ...blocks].map((yaml) => ({ ...yaml, host: /^\s*runs-on:/m.test(yaml.content) ? 'github' : 'azure' }));
}
