/** Return the `items` whose text has every word of `wanted`, those where one begins a word first. */
export function match<T>(items: readonly T[], wanted: string, textOf: (item: T) => string): T[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [...items];
  const ranked: { item: T; rank: number }[] = [];
  for (const item of items) {
    const text = ` ${textOf(item).toLowerCase()}`;
    if (!words.every((w) => text.includes(w))) continue;
    const places = words.map((w) => {
      const begins = text.indexOf(` ${w}`);
      return begins < 0 ? 1000 + text.indexOf(w) : begins;
    });
    ranked.push({ item, rank: Math.min(...places) });
  }
  return ranked.sort((a, b) => a.rank - b.rank).map(({ item }) => item);
}
