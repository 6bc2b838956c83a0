import { describe, expect, test } from '@jest/globals';
import { hidePassword, Masker } from '../../shared/step/masking.ts';

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

describe('a password that is a word like any other', () => {
  const SENTENCE = 'The latest backup of mongodb/test by admin was tested: 1234 documents in test.orders, 12345 in all.';

  test.each(['test', 'admin', 'mongodb', 'backup', 'orders', 'latest', '1234', 'Test'])('is not given away by its mask: %s', (password) => {
    const masker = new Masker();
    masker.add(`mongodb://app:${password}@db.example.org/?tls=true`);
    expect(masker.clean(SENTENCE)).toBe(SENTENCE);
  });

  test.each(['test', 'mongodb', 'orders', '1234'])('is hidden wherever a password stands: %s', (password) => {
    const masker = new Masker();
    const uri = `mongodb://app:${password}@db.example.org/?tls=true`;
    masker.add(uri);
    expect(masker.clean(`dialling ${uri}`)).toBe('dialling ***');
    expect(masker.clean(`dialling mongodb://app:${password}@10.0.0.1:27017/`)).toBe('dialling mongodb://app:***@10.0.0.1:27017/');
    for (const said of [`password=${password}`, `"password": "${password}"`, `PWD: ${password}, then`]) {
      expect(masker.clean(said)).not.toContain(password);
    }
    expect(hidePassword(`mongodb://app:${password}@x ${SENTENCE}`, password)).toBe(`mongodb://app:***@x ${SENTENCE}`);
  });

  test('is not told to the CI system, which would hide it everywhere', () => {
    const uri = 'mongodb://app:test@db.example.org/';
    expect(new Masker().add(uri)).toEqual([uri]);
    expect(new Masker().add('backup')).toEqual([]);
  });

  test('alone, as a passphrase, it does not garble our sentences either', () => {
    const masker = new Masker();
    masker.add('backup');
    expect(masker.clean('No backup was made; passphrase: backup')).toBe('No backup was made; passphrase: ***');
  });

  test.each(['hunter2-hunter2', 'correct horse', 'geheimnisvolles', 'a1b2c3'])('another one is hidden everywhere: %s', (password) => {
    const masker = new Masker();
    masker.add(`mongodb://app:${encodeURIComponent(password)}@db.example.org/`);
    expect(masker.clean(`it was ${password}!`)).toBe('it was ***!');
  });
});
