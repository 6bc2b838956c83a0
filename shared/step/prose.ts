// Sentences in the job summary, which is Markdown and with it HTML.

/** A sentence that may hold `<name>`, as in `https://<account>…`, which would be taken for HTML, and vanish. */
export function prose(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
