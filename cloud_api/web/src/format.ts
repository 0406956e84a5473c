const THIN = "\u202f";

const UNITS: Record<string, string> = {
  "m/s2": "m/s²",
  "m3/h": "m³/h",
  degC: "°C",
  "1": "",
};

/** Return a UCUM-like unit as a person writes it; empty for a pure number. */
export const unitText = (unit: string): string => UNITS[unit] ?? unit;

/** Return `value` to about four figures, with no more decimals than it deserves. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(2);
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(decimals);
}

/** Return how many decimals write every multiple of `step` exactly; 6 at most. */
export function decimals(step: number): number {
  for (let places = 0; places < 6; places += 1) {
    const scaled = step * 10 ** places;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 && Math.round(scaled) > 0) return places;
  }
  return 6;
}

/** Return a value with its unit. */
export function quantity(value: number, unit: string): string {
  const text = unitText(unit);
  return text ? `${number(value)}${THIN}${text}` : number(value);
}

export const percent = (share: number): string =>
  Number.isFinite(share) ? `${Math.round(share * 100)}${THIN}%` : "–";

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Return a size in its largest unit that fits, such as `48.2 MiB`. */
export function bytes(size: number): string {
  if (!Number.isFinite(size)) return "–";
  const step = Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, size)) / 10)));
  const value = size / 1024 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${THIN}${SIZES[step]}`;
}

/** Return seconds with their sign, such as `+0.12 s` or `−3 min`. */
export function signedSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 0.005) return `0.00${THIN}s`;
  const sign = seconds < 0 ? "−" : "+";
  if (size >= 120) return sign + duration(size * 1000);
  return `${sign}${size >= 10 ? size.toFixed(0) : size.toFixed(2)}${THIN}s`;
}

/** Return a decimal string of the books without needless zeros. */
export function decimal(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text || "0";
}

/** Return a length of time in its largest unit that fits, such as `12 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms / 1000);
  if (seconds < 60) return `${Math.floor(seconds)}${THIN}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}${THIN}h`;
  return `${Math.floor(seconds / 86400)}${THIN}days`;
}

/** Return hours of running time as a person plans with them. */
export function hours(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value < 1) return `${Math.max(1, Math.round(value * 60))}${THIN}min`;
  if (value < 72) return `${Math.round(value)}${THIN}h`;
  return `${Math.round(value / 24)}${THIN}days`;
}

/** Return an interval of running time, both ends in the unit of the greater. */
export function hoursBetween(lower: number, upper: number): string {
  if (upper < 1 / 60) return `under 1${THIN}min`;
  const [unit, size] = upper >= 72 ? ["days", 24] : upper >= 2 ? ["h", 1] : ["min", 1 / 60];
  const of = (value: number): string => String(Math.round(value / size));
  return `${of(lower)} to ${of(upper)}${THIN}${unit}`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** Return `hh:mm:ss` in the local zone. */
export function clock(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** Return `yyyy-mm-dd hh:mm` in the local zone. */
export function dateTime(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** Return the time in UTC, to the second. */
export const utc = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** Return what a field of the contract is called on the page: `Vibration Drive End/rms` stays as it is. */
export const initial = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
