// Text for a terminal: how wide it is shown, broken between words, cut to fit, and without anything that a terminal would obey.

/** Columns of a terminal: East Asian characters and emoji take two, accents that stand apart none. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes().segment(text)) width += WIDE.test(segment) ? 2 : NO_WIDTH.test(segment) ? 0 : 1;
  return width;
}

let segmenter: Intl.Segmenter | undefined;

/** Made when a text needs it: that takes milliseconds, which most commands need not wait for. */
function graphemes(): Intl.Segmenter {
  return (segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' }));
}

/** Unicode Standard Annex 11, the blocks that are wide throughout; and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /^[\p{M}\p{Cf}]+$/u;

/** Filled with blanks to a width, at its end or at its beginning. */
export function padded(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + blanks : blanks + text;
}

/** Cut with `…` when it is wider. */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = '';
  let taken = 0;
  for (const { segment } of graphemes().segment(text)) {
    taken += displayWidth(segment);
    if (taken > width - 1) break;
    cut += segment;
  }
  return `${cut}…`;
}

/** Lines no wider than `width`, broken between words. A word that is wider stays whole: a path must remain one that can be copied. */
export function wrapWords(text: string, width: number, measure: (text: string) => number = displayWidth): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && measure(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

/** A command line and a line of a stack are never broken: they are there to be copied. */
const COMMAND = /^\s+at |\b(?:lifeboat|az|gh|kubectl|openssl|export|node|npm) [a-z-]/;

/** `  Label   ` before the value of a fact in a plan; one that is long leaves the value too little room. */
const FACT = /^ {2}(?=.{1,34}\S {2,}\S)\S+(?: \S+)* {2,}/;

/**
 * Lines of a message, each broken between words and indented like its beginning.
 * @param measure how wide a text will be seen, when it holds marks that will not
 */
export function wrapMessage(message: string, width: number, measure: (text: string) => number = displayWidth): string {
  return message
    .split('\n')
    .flatMap((line) => {
      if (measure(line) <= width || COMMAND.test(line)) return [line];
      const begin = FACT.exec(line)?.[0] ?? /^\s*(?:[-!*] )?/.exec(line)?.[0] ?? '';
      const hanging = ' '.repeat(begin.length);
      return wrapWords(line.slice(begin.length), width - begin.length, measure).map((part, at) => `${at === 0 ? begin : hanging}${part}`);
    })
    .join('\n');
}

/**
 * Without control characters and marks that turn the direction of writing: a collection's name or a server's message
 * must not move the cursor, change the title or hide a line.
 */
export function inertOnTerminal(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
