// The rules of the inputs that say where a MongoDB is.
import { describe, expect, test } from '@jest/globals';
import { sourceProblems } from '../../shared/mongodb/inputs.ts';

const spell = (name: string): string => name;

describe('where the MongoDB is', () => {
  test.each([
    ['a connection string', { mongodbUri: 'x' }],
    ['pods', { kubernetesNamespace: 'db', kubernetesSelector: 'app=mongodb' }],
    ['a pod', { kubernetesNamespace: 'db', kubernetesPod: 'mongodb-0', kubernetesContainer: 'mongodb', kubernetesContext: 'any thing' }],
    ['a pod and the string as seen from it', { mongodbUri: 'x', kubernetesNamespace: 'db', kubernetesPod: 'mongodb-0' }],
    // dr.yml has a selector, and a pod is named by hand.
    ['pods, and one of them', { kubernetesNamespace: 'db', kubernetesSelector: 'app=mongodb', kubernetesPod: 'mongodb-0' }],
  ])('is said by %s', (_by, inputs) => {
    expect(sourceProblems(inputs, spell)).toEqual([]);
  });

  test.each([
    [{}, /^mongodbUri is missing\. .*kubernetesNamespace and kubernetesSelector instead\.$/],
    [{ kubernetesNamespace: 'db' }, /^kubernetesSelector is missing: which pods of db run MongoDB\?/],
    [{ mongodbUri: 'x', kubernetesPod: 'mongodb-0' }, /^kubernetesNamespace is missing: kubernetesPod alone/],
    [{ kubernetesNamespace: '--all', kubernetesPod: 'a' }, /^kubernetesNamespace is "--all": expected a name/],
    [{ kubernetesNamespace: 'db', kubernetesPod: '-v=9' }, /^kubernetesPod is "-v=9"/],
    [{ kubernetesNamespace: 'db', kubernetesPod: 'a', kubernetesContainer: 'A' }, /^kubernetesContainer is "A"/],
  ])('%j is one problem', (inputs, problem) => {
    expect(sourceProblems(inputs, spell)).toEqual([expect.stringMatching(problem)]);
  });

  test('may be left out where a step can do without', () => {
    expect(sourceProblems({}, spell, false)).toEqual([]);
  });
});
