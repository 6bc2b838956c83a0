// An e-mail as a page: the same facts as the plain text, readable on a phone. Styles stand in the elements, as mail programs want it.
import type { Message } from './message.ts';
import { COLOURS, factsOf, marked } from './text.ts';

const FONT = 'font-family:-apple-system,Segoe UI,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5;color:#1f2328';
const MONOSPACE = 'font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px';

/** The HTML part. Nothing is loaded from elsewhere, and every text is escaped. */
export function htmlText(message: Message): string {
  const { severity, text, next, run } = message;
  const paragraphs = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => `<p style="margin:0 0 8px">${escaped(line)}</p>`);
  const rows = factsOf(message).map(
    ([label, value]) =>
      `<tr><td style="padding:3px 16px 3px 0;color:#59636e;white-space:nowrap;vertical-align:top">${escaped(label)}</td>` +
      `<td style="padding:3px 0;vertical-align:top">${escaped(value)}</td></tr>`,
  );
  return [
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>',
    `<body style="margin:0;padding:16px;background:#ffffff;${FONT}"><div style="max-width:640px">`,
    `<div style="border-left:6px solid ${COLOURS[severity]};padding:4px 0 4px 12px;margin:0 0 16px;font-size:18px;font-weight:600">${escaped(marked(message))}</div>`,
    ...paragraphs,
    `<table role="presentation" style="border-collapse:collapse;margin:12px 0;${FONT}">${rows.join('')}</table>`,
    ...(next === undefined
      ? []
      : [
          '<p style="margin:16px 0 4px;color:#59636e">Run next</p>',
          `<pre style="margin:0 0 16px;padding:12px;background:#f6f8fa;border-radius:6px;white-space:pre-wrap;${MONOSPACE}">${escaped(next)}</pre>`,
        ]),
    ...(run.url === undefined ? [] : [`<p style="margin:0"><a href="${escaped(run.url)}" style="color:#0969da">Open the run</a></p>`]),
    '</div></body></html>',
    '',
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
