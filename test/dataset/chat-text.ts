// Words, names and files of an invented company chat, in several scripts, for the drill's data set.
import type { SeededRandom } from './seeded-random.ts';

const FIRST_NAMES = [
  'Ada',
  'Björn',
  'Chloé',
  'Дмитрий',
  'Elif',
  'Fatima',
  'Grażyna',
  'Hiroshi',
  'Ingrid',
  'José',
  '小雨',
  'Lena',
  'Mehmet',
  'Νίκος',
  'Olga',
  'Priya',
];
const LAST_NAMES = [
  'Almeida',
  'Bergström',
  'Çelik',
  'Dąbrowski',
  'Eriksen',
  'Fischer',
  'García',
  'Иванова',
  'Jansen',
  'Kowalczyk',
  'Møller',
  '佐藤',
  'Okafor',
  'Novák',
  'Singh',
  'Wagner',
];
const TOPICS = [
  'general',
  'random',
  'support',
  'releases',
  'incidents',
  'design',
  'küche',
  'продажи',
  '日本支社',
  'on-call',
  'hiring',
  'security',
];
const WORDS = (
  'the deploy backup cluster is ready again please review this ticket before lunch thanks looks good to me who can take a look at node seven ' +
  'database restore finished in twelve minutes all checks are green nice work everyone see you tomorrow the customer reported an error while ' +
  'uploading files we should add a test for that and update the runbook meeting moved to three o’clock room five cannot reproduce it here ' +
  'könnten wir das später besprechen merci beaucoup à demain gracias hasta luego спасибо увидимся завтра готово ありがとう 了解しました 明日 确认 好的'
).split(' ');
const EMOJI = ['👍', '🎉', '🚀', '😅', '🙏', '❤️', '👀', '✅'];
const FILES = [
  ['screenshot', 'png', 'image/png'],
  ['holiday', 'jpg', 'image/jpeg'],
  ['standup', 'mp4', 'video/mp4'],
  ['quarterly report', 'pdf', 'application/pdf'],
  ['Angebot für Müller', 'docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['logs', 'zip', 'application/zip'],
] as const;

export interface PersonName {
  name: string;
  username: string;
}

/** The nth person; user names are unique. */
export function personName(random: SeededRandom, n: number): PersonName {
  const first = random.pick(FIRST_NAMES);
  const last = random.pick(LAST_NAMES);
  return { name: `${first} ${last}`, username: `${first}.${last}.${n}`.toLowerCase() };
}

export function roomName(random: SeededRandom, n: number): string {
  return `${random.pick(TOPICS)}-${n}`;
}

/** A line of chat: mostly short, sometimes a paragraph, sometimes ending in an emoji. */
export function messageText(random: SeededRandom): string {
  const words = random.chance(0.08) ? 60 + random.below(120) : 3 + random.below(25);
  let text = random.pick(WORDS);
  for (let i = 1; i < words; i++) text += ` ${random.pick(WORDS)}`;
  return random.chance(0.25) ? `${text} ${random.pick(EMOJI)}` : text;
}

export function emoji(random: SeededRandom): string {
  return random.pick(EMOJI);
}

export function fileName(random: SeededRandom, n: number): { name: string; contentType: string } {
  const [name, extension, contentType] = random.pick(FILES);
  return { name: `${name} ${n}.${extension}`, contentType };
}
