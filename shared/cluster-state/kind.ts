// The state of a Kubernetes cluster as a kind of component: names, words, keys of dr.yml and inputs. Light; the work is loaded when needed.
import { defineKind } from '../backup/kind.ts';
import { compareInputs, restoreInputs, restoreProblems, stateInputs } from './inputs.ts';
import type { StateWork } from './work.ts';

export const clusterState = defineKind({
  kind: 'cluster-state',
  noun: 'cluster state',
  thing: 'cluster',
  about: 'The objects of a Kubernetes cluster: of every kind that it knows, custom resources and Secrets too.',
  unit: 'objects',
  groups: 'kinds',
  shape: async () => (await import('./schema.ts')).shape,
  inputs: stateInputs,
  address: ['context'],
  targetInputs: restoreInputs,
  compareInputs,
  checkTarget: restoreProblems,
  steps: {
    backup: {
      name: 'backup-cluster-state',
      title: 'Lifeboat: cluster state backup',
      summary: 'Backs up the objects of a Kubernetes cluster, encrypted, and proves that the backup can be read back before it counts.',
      description:
        'Lists every kind of object that the cluster knows, custom resources too, page by page, and keeps each object as the API server gives it. ' +
        'Helm releases are kept byte by byte and listed with their charts; certificates are listed with when they expire. What cannot be read ' +
        'makes the outcome partial, and is named. Objects with the label velero.io/exclude-from-backup=true are left out.',
      examples: [
        { what: 'Everything from dr.yml', args: '--component state' },
        {
          what: 'Two namespaces, without dr.yml',
          args: '--include-namespaces rocketchat,monitoring --store /mnt/backups --vault /mnt/keys',
        },
      ],
    },
    restore: {
      name: 'restore-cluster-state',
      title: 'Lifeboat: cluster state restore',
      summary:
        'Restores objects of a Kubernetes cluster in the order in which they need each other, and proves that they are what was backed up.',
      description:
        'Takes the latest verified backup, or the one named by timestamp, and plans object by object: made, changed with what differs, skipped and why; ' +
        'the server is asked first, without storing anything. Definitions come first, webhooks last. What is changed is backed up before, and rollback ' +
        'puts it back. Objects that are not in the backup stay as they are. Run again, it changes nothing, or goes on where it was stopped.',
      examples: [
        { what: 'See what would happen', args: '--component state --dry-run' },
        { what: 'One namespace', args: '--include-namespaces rocketchat --confirm rocketchat-production' },
        { what: 'Beside the living one', args: '--namespace rocketchat=rocketchat-check --scale-to-zero --confirm rocketchat-production' },
      ],
    },
    compare: {
      name: 'diff-cluster-state',
      title: 'Lifeboat: cluster state differences',
      summary: 'Says what changed in a Kubernetes cluster from one backup to another, or from a backup until now.',
      description:
        'Reads both states object by object and compares them without what the cluster adds by itself. What is in Secrets is shown as a hash that ' +
        'means something within one run only.',
      examples: [
        { what: 'From the latest backup until now', args: '--component state' },
        { what: 'Between two backups', args: '--timestamp 20241201_120000 --against 20241202_120000' },
        { what: 'One namespace, for a program', args: '--include-namespaces rocketchat --json' },
      ],
    },
    replace: 'Allow objects that are there and differ to be changed.',
    shrink: 'a kind of ten objects or more, or the whole, has lost more than this percentage of its objects',
  },
  words: { thing: ['kubernetes', 'cluster', 'k8s', 'aks'], backup: ['velero'], restore: [] },
  cluster: ['Let the identity get and list every kind of object: lifeboat doctor shows the role that it lacks.'],
  load: async (): Promise<StateWork> => (await import('./work.ts')).work,
});
