// Texts as values in YAML that people read.

/** Plain where YAML reads it back as the same text, else quoted. */
export function scalar(text: string): string {
  return /^(?:[A-Za-z][A-Za-z0-9_./-]*|\d+[smhdw])$/.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text)
    ? text
    : quoted(text);
}

/** JSON strings are YAML strings. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
