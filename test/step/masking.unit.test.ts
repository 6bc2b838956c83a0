import { describe, expect, test } from '@jest/globals';
import { Masker } from '../../shared/step/masking.ts';

describe('Masker', () => {
  test('hides a secret whole, and each of its lines alone', () => {
    const masker = new Masker();
    masker.add('first line\nsecond line\r\nthird line');
    expect(masker.clean('got first line\nsecond line\r\nthird line.')).toBe('got ***.');
    expect(masker.clean('only second line here')).toBe('only *** here');
  });

  test('hides the password of a connection string, as written and decoded', () => {
    const masker = new Masker();
    masker.add('mongodb://backup:p%40ss-word@db.example.org/?tls=true');
    expect(masker.clean('auth failed with p@ss-word (p%40ss-word)')).toBe('auth failed with *** (***)');
    expect(masker.clean('db.example.org refused backup')).toBe('db.example.org refused backup');
  });

  test('leaves the braces of a JSON secret alone', () => {
    const masker = new Masker();
    masker.add('{\n"key": "hunter2hunter2"\n}');
    expect(masker.clean('{ } "key": "hunter2hunter2"')).toBe('{ } ***');
  });

  test('hides a short secret when it is all there is', () => {
    const masker = new Masker();
    masker.add('abc');
    expect(masker.clean('xabcx')).toBe('x***x');
  });

  test('hides the longer secret first when one contains another', () => {
    const masker = new Masker();
    masker.add('pass');
    masker.add('password');
    expect(masker.clean('the password')).toBe('the ***');
  });

  test('reports only parts that are new', () => {
    const masker = new Masker();
    expect(masker.add('one-secret')).toEqual(['one-secret']);
    expect(masker.add('one-secret')).toEqual([]);
    expect(masker.add('')).toEqual([]);
  });

  test('cleans nested values and keys, and the result is still JSON', () => {
    const masker = new Masker();
    masker.add('":"');
    masker.add('sec"ret');
    const cleaned = JSON.stringify(masker.cleanDeep({ 'sec"ret': ['a sec"ret', 1, null, { b: true }] }));
    expect(JSON.parse(cleaned)).toEqual({ '***': ['a ***', 1, null, { b: true }] });
  });
});
