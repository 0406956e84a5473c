import type uPlot from "uplot";
import { clock, dateTime } from "../format";

/** Label times by what their distance needs: seconds, minutes or days. */
export function timeTicks(_: uPlot, ticks: number[]): string[] {
  const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
  const span = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0);
  return ticks.map((time) => {
    const text = dateTime(time);
    if (step >= 86_400_000) return text.slice(5, 10);
    if (span >= 86_400_000) return text.slice(5);
    return step < 60_000 ? clock(time) : text.slice(11);
  });
}
