import { duration, initial } from "../format";

const THIN = "\u202f";

/** Return a count in groups of three. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** Return a rate with as many figures as it deserves, without its unit. */
export function rate(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (value < 0.05) return "<0.1";
  return value < 9.95 ? value.toFixed(1) : count(value);
}

/** Return a lag or a delay. */
export function seconds(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return `0${THIN}s`;
  if (value >= 120) return duration(value * 1000);
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${THIN}s`;
}

export const things = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Return what a step is called: `to_historian` is the historian. */
export function stepWord(name: string): string {
  if (name === "telemetry") return "Telemetry log";
  return initial(name.replace(/^to_/, "").replaceAll("_", " "));
}

/** Return a title that may be parted within a long word, where there is no room for it. */
export const breakable = (title: string): string =>
  title.replace(/(?<=\w{9})(?=(ment|ation)s?\b)/g, "\u00ad");

/** Samples of a history, and how many there are at most. */
export const HISTORY = 60;

/** Return the outline of a history over its box, which ends now and begins at nought. */
export function historyPath(values: readonly number[], width: number, height: number): string {
  const most = Math.max(...values);
  if (values.length < 2 || !(most > 0)) return "";
  const step = width / (HISTORY - 1);
  const start = width - (values.length - 1) * step;
  return values
    .map((v, i) => {
      const y = height - (v / most) * height;
      return `${i ? "L" : "M"}${(start + i * step).toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
