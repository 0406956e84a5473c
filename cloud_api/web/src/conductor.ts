import { computed, signal } from "@preact/signals";

/**
 * The one time every chart follows. Live windows end at the newest sample of what a chart shows, which in a
 * simulation is not the wall clock; a range is two event times.
 */
export type Conductor =
  | { mode: "live"; span: number }
  | { mode: "paused"; span: number }
  | { mode: "range"; start: number; end: number };

const MINUTE = 60_000;

export const SPANS: readonly { span: number; label: string; key: string }[] = [
  { span: 5 * MINUTE, label: "5 min", key: "5m" },
  { span: 15 * MINUTE, label: "15 min", key: "15m" },
  { span: 60 * MINUTE, label: "1 h", key: "1h" },
  { span: 6 * 60 * MINUTE, label: "6 h", key: "6h" },
  { span: 24 * 60 * MINUTE, label: "24 h", key: "24h" },
  { span: 7 * 24 * 60 * MINUTE, label: "7 days", key: "7d" },
];

const DEFAULT = { mode: "live", span: 15 * MINUTE } as const;

/** Return the conductor an address asks for: `?span=1h`, or `?from=…&to=…` in UTC. */
export function readConductor(query: string): Conductor | undefined {
  const params = new URLSearchParams(query);
  const [start, end] = [Date.parse(params.get("from") ?? ""), Date.parse(params.get("to") ?? "")];
  if (start < end) return { mode: "range", start, end };
  const span = SPANS.find((s) => s.key === params.get("span"))?.span;
  return span ? { mode: "live", span } : undefined;
}

/** Return `query` with what `state` needs in it; the default needs nothing. */
export function writeConductor(query: string, state: Conductor): string {
  const params = new URLSearchParams(query);
  ["span", "from", "to"].forEach((name) => params.delete(name));
  if (state.mode === "range") {
    params.set("from", new Date(state.start).toISOString());
    params.set("to", new Date(state.end).toISOString());
  } else if (state.span !== DEFAULT.span) {
    params.set("span", SPANS.find((s) => s.span === state.span)?.key ?? "");
  }
  const text = params.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text && `?${text}`;
}

export const conductor = signal<Conductor>(
  (typeof location === "undefined" ? undefined : readConductor(location.search)) ?? DEFAULT,
);

/** How many charts on the page follow it; the conductor shows itself only then. */
export const followers = signal(0);

export const isLive = computed(() => conductor.value.mode === "live");

/** Return the window of a chart whose newest sample is at `last`. */
export function windowOf(state: Conductor, last: number): { start: number; end: number } {
  if (state.mode === "range") return { start: state.start, end: state.end };
  return { start: last - state.span, end: last };
}

export function showRange(start: number, end: number): void {
  conductor.value = { mode: "range", start: Math.round(start), end: Math.round(end) };
}

export function goLive(span?: number): void {
  const before = conductor.peek();
  conductor.value = { mode: "live", span: span ?? (before.mode === "range" ? DEFAULT.span : before.span) };
}

export function pause(): void {
  const before = conductor.peek();
  if (before.mode === "live") conductor.value = { mode: "paused", span: before.span };
}
