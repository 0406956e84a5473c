import type { Alarm, FeatureEvidence, Ticket } from "./contracts";
import type { Flag, Overlay, Span } from "./components/overlay";
import { HEALTH_LIMITS } from "./machine_state";
import { isSuppressed, tone } from "./words";

const ms = (time: string | undefined): number => Date.parse(time ?? "");

/** A series that shows a piece of evidence over time. */
export interface Shown<S> {
  feature: FeatureEvidence;
  series: S;
  /** Whether the evidence's limit and baseline are values of the series. */
  comparable: boolean;
}

/** Return the name of the series a piece of evidence was read from; a reading's mean is its channel's. */
export const seriesOf = (f: FeatureEvidence): string =>
  f.feature === "mean" ? f.channel : `${f.channel}/${f.feature}`;

/** Return the first `count` pieces of evidence with a series each: its own, else its channel's. */
export function shownEvidence<S extends { name: string }>(
  features: readonly FeatureEvidence[],
  series: readonly S[],
  count: number,
): Shown<S>[] {
  const shown = new Map<string, Shown<S>>();
  for (const feature of features) {
    const own = series.find((s) => s.name === seriesOf(feature));
    const found = own ?? series.find((s) => s.name === feature.channel);
    if (found && !shown.has(found.name))
      shown.set(found.name, { feature, series: found, comparable: own !== undefined });
  }
  return [...shown.values()].slice(0, count);
}

/** Whether an alarm is about a series: what speaks of the whole machine, or what the alarm was read from. */
function concerns(alarm: Alarm, series: string): boolean {
  const features = alarm.advisory?.evidence?.features ?? [];
  return (
    series === "health" ||
    series === "score" ||
    features.some((f) => seriesOf(f) === series || f.channel === series)
  );
}

/** Return what is known about one series from the alarms of its machine: its limit, baseline and anomalies. */
export function overlayOf(
  series: string,
  alarms: readonly Alarm[],
  tickets: readonly Ticket[],
  lastTime: number,
): Overlay {
  const spans: Span[] = [];
  const flags: Flag[] = [];
  for (const alarm of alarms) {
    const raised = ms(alarm.raiseTime);
    if (!Number.isFinite(raised)) continue;
    const cleared = ms(alarm.clearTime);
    const shade = tone(alarm.severity);
    if (!isSuppressed(alarm.state) && concerns(alarm, series))
      spans.push({ from: raised, to: Number.isFinite(cleared) ? cleared : lastTime, tone: shade });
    const ticket = tickets.find((t) => t.name === alarm.ticket);
    flags.push({
      at: raised,
      label: ticket ? `Alarm, ${ticket.number} opened` : "Alarm raised",
      tone: shade,
    });
    if (Number.isFinite(cleared)) flags.push({ at: cleared, label: "Cleared" });
  }
  if (series === "score") return { spans, flags, limits: [{ label: "Alarm limit", value: 1 }] };
  if (series === "health") return { spans, flags, limits: [...HEALTH_LIMITS] };
  const known = alarms
    .flatMap((a) => a.advisory?.evidence?.features ?? [])
    .find((f) => seriesOf(f) === series);
  return { spans, flags, ...(known ? expectation(known) : {}) };
}

/** Return the limit and the baseline band of a feature: one standard deviation about what was expected. */
export function expectation({
  limit,
  baseline,
  value,
  score,
}: FeatureEvidence): Pick<Overlay, "limits" | "baseline"> {
  const deviation = score ? Math.abs((value - baseline) / score) : 0;
  return {
    limits: Number.isFinite(limit) && limit ? [{ label: "Alarm limit", value: limit }] : [],
    baseline: Number.isFinite(baseline)
      ? { from: baseline - deviation, to: baseline + deviation }
      : undefined,
  };
}
