// What a name given by a user may be: of a component, of a store in dr.yml, of what is protected. One list of what is reserved, for all of them.

/** Folders and files that the layout of a store keeps beside the components. */
export const LAYOUT_NAMES = ['audit', 'holds', 'locks', 'points', 'proofs', 'runs', 'status.json'] as const;

/** Where backups of what a restore replaced lie: `<component>-safety`. */
export const SAFETY = '-safety';

/** Device names of Windows, which are no file there, whatever follows a dot (Microsoft, "Naming Files, Paths, and Namespaces"). */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

/** Names that every JavaScript object has: a table of names would find something under them. */
const OBJECT_NAMES: ReadonlySet<string> = new Set(
  [...Object.getOwnPropertyNames(Object.prototype), 'prototype'].map((name) => name.toLowerCase()),
);

const COMPONENT = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const COMPONENT_RULE = 'expected 1 to 63 lower-case letters, digits and dashes, starting with a letter and not ending with a dash';

/** Why no system could keep a name apart from something of its own; undefined when it can. Upper and lower case count as one. */
export function reservedName(name: string): string | undefined {
  if (DEVICE.test(name)) return `${JSON.stringify(name)} is the name of a device on Windows: choose another name`;
  if (OBJECT_NAMES.has(name.toLowerCase())) return `${JSON.stringify(name)} is reserved: choose another name`;
  return undefined;
}

/**
 * What is wrong with the name of a component whose backups are looked for; undefined when nothing is. That may also be `<component>-safety`.
 * The name becomes a folder in the store and part of the key's name in the vault, which is why it is so narrow.
 */
export function componentProblem(name: string): string | undefined {
  const own = name.endsWith(SAFETY) && name !== SAFETY ? name.slice(0, -SAFETY.length) : name;
  // Before the shape: "status.json" is taken, whatever letters a name may have.
  if ((LAYOUT_NAMES as readonly string[]).includes(own.toLowerCase())) {
    return `${JSON.stringify(own)} is taken by the layout of a store (${LAYOUT_NAMES.join(', ')}): choose another name`;
  }
  return reservedName(own) ?? (COMPONENT.test(own) ? undefined : COMPONENT_RULE);
}

/** What is wrong with the name of a component that is to be backed up; undefined when nothing is. */
export function newComponentProblem(name: string): string | undefined {
  if (!name.endsWith(SAFETY)) return componentProblem(name);
  return (
    `names that end with ${SAFETY} are reserved: below ${name} a restore of ${JSON.stringify(name.slice(0, -SAFETY.length))} keeps ` +
    'what it replaces, and a rollback takes it from there. Choose another name'
  );
}

/** What is wrong with the name of what is protected, the top folder in a store: segments joined by `/`; undefined when nothing is. */
export function prefixProblem(prefix: string): string | undefined {
  for (const segment of prefix.split('/')) {
    if (segment.endsWith('.')) return 'a name must not end with a dot: Windows and Azure drop it, and two names would become one';
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(segment)) {
      return 'expected letters, digits, dots, dashes and underscores, with "/" between folders and none at the ends, such as rocketchat-production';
    }
    const reserved = reservedName(segment);
    if (reserved !== undefined) return reserved;
  }
  return undefined;
}
