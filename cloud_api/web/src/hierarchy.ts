/** A level of the ISA-95 path with what stands at it. */
export interface Level<T> {
  /** `enterprise/site/area`. */
  path: string;
  label: string;
  items: T[];
  below: Level<T>[];
}

/** Return `items` as a tree by their paths (`enterprise/site/area/line/cell`), in the order of the paths. */
export function hierarchy<T extends { path: string; tag: string }>(items: readonly T[]): Level<T> {
  const root: Level<T> = { path: "", label: "", items: [], below: [] };
  const sorted = [...items].sort((a, b) => a.path.localeCompare(b.path) || a.tag.localeCompare(b.tag));
  for (const item of sorted) {
    let level = root;
    for (const label of item.path.split("/").filter(Boolean)) {
      let next = level.below.find((l) => l.label === label);
      if (!next) {
        next = { path: level.path ? `${level.path}/${label}` : label, label, items: [], below: [] };
        level.below.push(next);
      }
      level = next;
    }
    level.items.push(item);
  }
  return root;
}

/** Return every item at or under `level`. */
export function itemsUnder<T>(level: Level<T>): T[] {
  return [...level.items, ...level.below.flatMap((l) => itemsUnder(l))];
}

/** Whether `path` is `prefix` or under it. */
export const isUnder = (path: string, prefix: string): boolean =>
  !prefix || path === prefix || path.startsWith(`${prefix}/`);
