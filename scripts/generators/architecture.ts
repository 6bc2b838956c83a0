// The table of rooms in docs/architecture.md, taken from the test that holds the imports to it.
import { row, section } from './markdown.ts';

/** The page with its table renewed. @param rules text of the layout test @throws Error when either of them lost its table */
export function renewArchitecture(page: string, rules: string): string {
  const table = /const BELOW\b[^{]*\{([\s\S]*?)\n\}/.exec(rules)?.[1];
  const rooms = [...(table ?? '').matchAll(/^\s*'?([a-z][a-z-]*)'?: \[([^\]]*)\],/gm)];
  if (rooms.length === 0) throw new Error('The layout test has no table BELOW');
  const rows = rooms.map(([, room = '', below = '']) => {
    const names = [...below.matchAll(/'([^']+)'/g)].map(([, name]) => `\`${name ?? ''}\``);
    return row([`\`shared/${room}\``, names.join(' ') || 'nothing']);
  });
  return section(page, 'rooms', ['| Room | May use |', '| --- | --- |', ...rows]);
}
