import type { Value } from "../../contracts";
import { machine } from "../../points";

/** Return what a metric of a device is, as far as it came live while this page is open. */
export function liveValue(device: string, metric: string): Value | undefined {
  const number = machine(device)?.series.get(metric)?.ring.lastValue ?? NaN;
  return Number.isFinite(number) ? { number } : undefined;
}
