// Says in one sentence what kubectl's words mean, and what to do about it.
import { UserError } from '../step/errors.ts';
import type { NamespaceAccess } from './access.ts';

const LOG_IN =
  'Log in to the cluster first: azure/aks-set-context on GitHub, Kubernetes@1 with command login on Azure, az aks get-credentials at a terminal.';

/** Known causes in kubectl's words. The first that fits is told. */
const CAUSES: [pattern: RegExp, fix: (access: NamespaceAccess) => string][] = [
  [
    /context "?.*"? does not exist|context was not found|no context exists/i,
    () => `Check its name with: kubectl config get-contexts. ${LOG_IN}`,
  ],
  [
    /forbidden.*pods\/exec|pods\/exec.*forbidden/is,
    ({ namespace }) => `Allow the verb create on pods/exec in namespace ${namespace}; docs/operations.md has the role to paste.`,
  ],
  [/forbidden/i, ({ namespace }) => `Allow get and list on pods in namespace ${namespace}; docs/operations.md has the role to paste.`],
  [/must be logged in|unauthorized|the server has asked for the client to provide credentials|getting credentials/i, () => LOG_IN],
  [
    /did you specify the right host or port|no configuration has been provided|invalid configuration/i,
    () => `There is no kubeconfig here. ${LOG_IN}`,
  ],
  [
    /unable to connect to the server|connection to the server .* was refused|no such host|i\/o timeout|TLS handshake timeout|connection refused/i,
    () =>
      'Check that this machine reaches the API server: a private cluster answers only from inside its network, others may have a list of allowed addresses.',
  ],
  [
    /executable file not found|exec: ".*no such file or directory/i,
    () => 'The container does not have that program: choose one that has it, or add one to the pod.',
  ],
  [
    /container not found|container .* is not valid for pod/i,
    () => 'The container is not running, or has another name: look with kubectl describe pod.',
  ],
  [/pods? ".*" not found/i, () => 'The pod went away: run again, and choose pods by selector, which finds its successor.'],
  [
    /websocket: close|error reading from error stream|lost connection to pod|unexpected EOF|connection reset|broken pipe|stream (error|protocol)|upgrade connection/i,
    () =>
      'The connection to the pod broke: run again. When it breaks again, look whether the pod was restarted, and for a proxy or load balancer that cuts long connections.',
  ],
];

/** kubectl's own closing line: its exit code says the same, and the program's words are before it. */
const NO_NEWS = /^command terminated with (non-zero )?exit code/i;

/** True for a line of kubectl that tells nothing. */
export function isNoNews(line: string): boolean {
  return NO_NEWS.test(line.trim());
}

/** True for a line that kubectl or the container's runtime said, not the program inside. */
export function isKubectls(line: string): boolean {
  return /^(error:|error from server|unable to connect to the server|the connection to the server|oci runtime exec|[EW]\d{4} )/i.test(
    line.trim(),
  );
}

/** What to do about these words; undefined when they are not known. */
export function kubectlFix(words: string, access: NamespaceAccess): string | undefined {
  return CAUSES.find(([pattern]) => pattern.test(words))?.[1](access);
}

/** The failure of a kubectl call: kubectl's last words after ours. */
export function kubectlFailure(lines: readonly string[], what: string, access: NamespaceAccess): UserError {
  const words = lines.findLast((line) => !isNoNews(line)) ?? 'it printed nothing';
  const fix = kubectlFix(lines.join('\n'), access);
  const said = words.replace(/^(error|Error from server( \(\w+\))?): /, '').replace(/[.?]$/, '');
  return new UserError(`${what}: ${said}.`, fix === undefined ? {} : { fix });
}
