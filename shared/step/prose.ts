// Sentences in the job summary, which is Markdown and with it HTML.

/** A sentence that may hold `<name>`, as in `https://<account>…`, which would be taken for HTML, and vanish. */
export function prose(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/** A name that may hold control characters or line separators, written so that it stays on its line: `a\nb`, `\u0007`. */
export function printable(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu, escaped);
}

function escaped(character: string): string {
  const short = JSON.stringify(character).slice(1, -1);
  return short.startsWith('\\') ? short : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
