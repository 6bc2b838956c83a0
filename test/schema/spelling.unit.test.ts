// What counts as a slip of the hand.
import { expect, test } from '@jest/globals';
import { nearestSpelling } from '../../shared/schema/spelling.ts';

test.each([
  ['dialy', 'daily'],
  ['retentoin', 'retention'],
  ['max-shrink', 'maxShrink'],
  ['MAX_SHRINK', 'maxShrink'],
  ['url', 'uri'],
  ['fulll', 'full'],
  ['stor', 'store'],
])('%s means %s', (word, meant) => {
  expect(nearestSpelling(word, ['daily', 'retention', 'maxShrink', 'uri', 'full', 'store'])).toBe(meant);
});

test.each(['monthly', 'x', '', 'sale', 'constructor'])('%s means nothing known', (word) => {
  expect(nearestSpelling(word, ['daily', 'retention', 'uri', 'full'])).toBeUndefined();
});

test('of two candidates the nearer one wins, and the first of two equally near', () => {
  expect(nearestSpelling('stores', ['store', 'stored', 'stores2'])).toBe('store');
  expect(nearestSpelling('weekly', ['weekl', 'weekly'])).toBe('weekly');
});
