// The drill's result as one HTML page: no scripts, nothing fetched, readable in the dark, on paper and by a screen reader.
import { formatBytes, formatCount, formatRate, formatSeconds } from '../../shared/step/format.ts';
import type { DrillResult, DrillVerdict, PhaseResult } from './phase-facts.ts';

export interface ReportFacts {
  /** What was rehearsed, such as `rocketchat-production`. */
  title: string;
  /** What an auditor asks for: server, store, vault, engine, backup timestamp. Name → value. */
  facts?: Record<string, string>;
  /** Where the reader can go on: a command, a file. */
  footer?: string;
}

const VERDICTS: Record<DrillVerdict, { heading: string; meaning: string }> = {
  recovered: { heading: 'Recovered', meaning: 'Every digest, count and index of the restored data was proved equal to the backup’s.' },
  refused: { heading: 'Refused', meaning: 'The backup did not prove itself, so nothing was restored from it.' },
  failed: { heading: 'Failed', meaning: 'The data was not recovered, or it could not be proved equal.' },
  cancelled: { heading: 'Cancelled', meaning: 'The drill was stopped before it could prove anything.' },
};

/** The page's full text, to be written to a file. */
export function reportPage(result: DrillResult, about: ReportFacts): string {
  const { heading, meaning } = VERDICTS[result.verdict];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${heading}: ${escape(about.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header class="${result.verdict}">
<p>Recovery drill · ${escape(about.title)}</p>
<h1>${heading} <span>in ${formatSeconds(result.seconds)}</span></h1>
<p>${meaning} ${budgetSentence(result)}</p>
</header>
${factList({ Started: `${result.startedAt.replace('T', ' ').replace(/\.\d+Z$/, '')} UTC`, ...about.facts })}
<table>
<caption>Phases</caption>
<thead><tr><th scope="col">Phase</th><th scope="col">Verdict</th><th scope="col" class="wide">Time against budget</th><th scope="col" class="number">Time</th><th scope="col" class="number">Budget</th><th scope="col" class="number">Data</th><th scope="col" class="number">Documents</th><th scope="col" class="number">Rate</th></tr></thead>
<tbody>
${result.phases.map(row).join('\n')}
</tbody>
</table>
${about.footer === undefined ? '' : `<footer>${escape(about.footer)}</footer>`}
</main>
</body>
</html>
`;
}

function budgetSentence(result: DrillResult): string {
  const late = result.phases.filter(({ verdict }) => verdict === 'late').map(({ title }) => title);
  if (late.length > 0) return `Over budget: ${escape(late.join(', '))}.`;
  return `The budget was ${formatSeconds(result.budgetSeconds)}.`;
}

function factList(facts: Record<string, string>): string {
  const items = Object.entries(facts).map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`);
  return `<dl>${items.join('')}</dl>`;
}

function row(phase: PhaseResult): string {
  const ran = phase.verdict !== 'skipped';
  const cells = [
    `<th scope="row">${escape(phase.title)}${phase.note === undefined ? '' : `<small>${escape(phase.note)}</small>`}</th>`,
    `<td class="verdict"><strong class="${phase.verdict}">${phase.verdict}</strong></td>`,
    `<td class="wide">${ran ? timeBar(phase) : ''}</td>`,
    number('Time', ran ? formatSeconds(phase.seconds) : ''),
    number('Budget', formatSeconds(phase.budgetSeconds)),
    number('Data', phase.bytes === undefined ? '' : formatBytes(phase.bytes)),
    number('Documents', phase.documents === undefined ? '' : formatCount(phase.documents)),
    number('Rate', phase.bytes === undefined || !ran ? '' : formatRate(phase.bytes, phase.seconds)),
  ];
  return `<tr>${cells.join('')}</tr>`;
}

// On a phone the column heads are hidden, and each cell says its own.
function number(column: string, text: string): string {
  return `<td class="number${column === 'Time' ? ' time' : ''}" data-column="${column}">${text}</td>`;
}

// The whole width is the budget, or the time taken when that is longer: then a line marks the budget. SVG, since paper drops backgrounds.
function timeBar({ seconds, budgetSeconds, verdict }: PhaseResult): string {
  const scale = Math.max(seconds, budgetSeconds, 0.001);
  const filled = percent(seconds / scale);
  const mark = seconds > budgetSeconds ? `<rect class="mark" x="${percent(budgetSeconds / scale)}%" y="0" width="2" height="12"/>` : '';
  const share = budgetSeconds > 0 ? `${Math.round((seconds / budgetSeconds) * 100)}% of the budget` : 'no budget';
  return `<svg width="100%" height="12" role="img" aria-label="${share}"><title>${share}</title><rect class="track" width="100%" height="12" rx="3"/><rect class="${verdict}" width="${filled}%" height="12" rx="3"/>${mark}</svg>`;
}

function percent(share: number): string {
  return Math.max(share * 100, 0.5).toFixed(1);
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

// Text and background keep a contrast of at least 4.5:1 in both schemes; colour is never the only sign of a verdict.
const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --page: #fff; --card: #f6f8fa; --line: #d0d7de; --good: #1a7f37; --bad: #b42318; --warn: #8a5a00; --track: #d8dee4; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9da7b3; --page: #0d1117; --card: #161b22; --line: #30363d; --good: #4ac26b; --bad: #ff8177; --warn: #e3b341; --track: #30363d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem; }
header { border-left: 6px solid var(--bad); padding: .25rem 0 .25rem 1.25rem; }
header.recovered { border-color: var(--good); }
header p { margin: 0; color: var(--soft); }
h1 { margin: .1rem 0; font-size: 2.25rem; line-height: 1.2; color: var(--bad); }
header.recovered h1 { color: var(--good); }
h1 span { color: var(--text); font-weight: 400; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .75rem 1.5rem; margin: 1.75rem 0; padding: 1rem 1.25rem; background: var(--card); border-radius: 8px; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
th, td { text-align: left; padding: .55rem .75rem .55rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-size: .85rem; font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; min-width: 11rem; }
small { display: block; color: var(--soft); font-weight: 400; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.wide { width: 28%; min-width: 9rem; }
td svg { display: block; margin-top: .4rem; }
rect.track { fill: var(--track); }
rect.passed { fill: var(--good); } rect.late { fill: var(--warn); } rect.failed, rect.refused, rect.cancelled { fill: var(--bad); }
rect.mark { fill: var(--text); }
strong.passed { color: var(--good); } strong.late { color: var(--warn); } strong.failed, strong.refused, strong.cancelled { color: var(--bad); } strong.skipped { color: var(--soft); font-weight: 400; }
/* A phone, or paper as narrow, has no room for eight columns: each phase becomes a card that begins with its verdict and its time. */
@media (max-width: 54rem) {
  main { padding: 1.25rem 1rem; } h1 { font-size: 1.75rem; } dl { grid-template-columns: 1fr; }
  table, tbody, caption { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem 1rem; padding: .75rem 0; border-bottom: 1px solid var(--line); }
  tbody th, tbody td { padding: 0; border: 0; }
  tbody th { flex: 1 1 100%; min-width: 0; }
  td.verdict { flex: 1; order: 1; }
  td.time { order: 2; font-size: 1.15rem; font-weight: 600; }
  td.wide { flex: 1 1 100%; order: 3; width: auto; padding-bottom: .3rem; }
  td.number:not(.time) { order: 4; font-size: .85rem; }
  td.number:not(.time)::before { content: attr(data-column) " "; color: var(--soft); }
  tbody td:empty { display: none; }
}
footer { margin-top: 2rem; color: var(--soft); overflow-wrap: anywhere; }
@media print { :root { color-scheme: light; --text: #000; --soft: #444; --page: #fff; --card: #fff; --line: #999; --good: #14632b; --bad: #8f1c13; --warn: #6b4600; --track: #ddd; } main { padding: 0; max-width: none; } dl { border: 1px solid var(--line); } tr { break-inside: avoid; } body { font-size: 11pt; } }
`.trim();
