import type { Ring } from "./ring";

/** A series as it is plotted; arrays of equal length, times in milliseconds since the epoch. */
export interface Points {
  time: number[];
  value: number[];
  minimum: number[];
  maximum: number[];
}

export const noPoints = (): Points => ({ time: [], value: [], minimum: [], maximum: [] });

function push(points: Points, time: number, value: number, minimum: number, maximum: number): void {
  points.time.push(time);
  points.value.push(value);
  points.minimum.push(minimum);
  points.maximum.push(maximum);
}

/** Return `stored` with what `ring` knows after it, between `start` and `end`. */
export function withLive(stored: Points, ring: Ring | undefined, start: number, end: number): Points {
  const merged = noPoints();
  stored.time.forEach((time, i) => {
    if (time >= start && time <= end)
      push(merged, time, stored.value[i]!, stored.minimum[i]!, stored.maximum[i]!);
  });
  ring?.each((time, value, minimum, maximum) => {
    if (time >= start && time <= end) push(merged, time, value, minimum, maximum);
  }, stored.time.at(-1));
  return merged;
}

/** Keep at most `count` points: of each bucket the mean, the least minimum, the greatest maximum. */
export function decimate(points: Points, count: number): Points {
  const total = points.time.length;
  if (total <= count) return points;
  const thin = noPoints();
  for (let bucket = 0; bucket < count; bucket += 1) {
    const from = Math.floor((bucket * total) / count);
    const to = Math.floor(((bucket + 1) * total) / count);
    let sum = 0;
    let known = 0;
    let minimum = Infinity;
    let maximum = -Infinity;
    for (let i = from; i < to; i += 1) {
      if (!Number.isFinite(points.value[i]!)) continue;
      sum += points.value[i]!;
      known += 1;
      minimum = Math.min(minimum, points.minimum[i]!);
      maximum = Math.max(maximum, points.maximum[i]!);
    }
    if (known) push(thin, points.time[from]!, sum / known, minimum, maximum);
    else push(thin, points.time[from]!, NaN, NaN, NaN);
  }
  return thin;
}

/** The middle of the distances between neighbours, in milliseconds; 0 with fewer than two points. */
export function typicalStep(time: readonly number[]): number {
  const steps = time.slice(1).map((t, i) => t - time[i]!);
  steps.sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 0;
}

/** Return `points` with an unknown value wherever a distance is over `factor` times the usual one. */
export function breakGaps(points: Points, factor = 4): Points {
  const limit = typicalStep(points.time) * factor;
  if (limit === 0) return points;
  const broken = noPoints();
  points.time.forEach((time, i) => {
    const before = points.time[i - 1];
    if (before !== undefined && time - before > limit) push(broken, (before + time) / 2, NaN, NaN, NaN);
    push(broken, time, points.value[i]!, points.minimum[i]!, points.maximum[i]!);
  });
  return broken;
}

const COLOURS = 8;

/** Return the number of the colour (1 to 8) that a series has everywhere. */
export function colourOf(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)!) % 65_521;
  return (hash % COLOURS) + 1;
}

/** Units a tile shows first: what a machine shakes, then how hot, then what it gives and takes. */
const FIRST_UNITS = ["mm/s", "degC", "bar", "m3/h", "A", "kW", "1/min", "m/s2"];

function rank(series: { name: string; unit: string }): number {
  const place = FIRST_UNITS.indexOf(series.unit);
  return place < 0 ? FIRST_UNITS.length : place;
}

/** Choose the `count` series that say most about a machine, one a unit before a second of any. */
export function keySeries<S extends { name: string; unit: string }>(all: readonly S[], count: number): S[] {
  const ordered = [...all].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const seen = new Set<string>();
  const firsts = ordered.filter((s) => !seen.has(s.unit) && seen.add(s.unit));
  return [...firsts, ...ordered.filter((s) => !firsts.includes(s))].slice(0, count);
}
