import type { Alarm, Equipment, Severity } from "./contracts";
import { initial } from "./format";
import { machine } from "./points";
import { keySeries } from "./series";
import { alarmStateWord, failureModeWord, isSuppressed, severityWord } from "./words";

/** Blocks may come this late before a machine counts as silent. */
const PATIENCE_MS = 15_000;

export interface Freshness {
  stale: boolean;
  /** Milliseconds since the newest block was made; NaN when none came while this page was open. */
  age: number;
}

/** Return how old what is known of a machine is; `serverNow` is the server's clock. */
export function freshness(tag: string, serverNow: number): Freshness {
  const found = machine(tag);
  if (!found?.sentTime) return { stale: true, age: NaN };
  const age = Math.max(0, serverNow - found.sentTime);
  return { stale: age > Math.max(PATIENCE_MS, found.interval * 3), age };
}

export interface MachineState {
  severity: Severity;
  text: string;
}

/** Return what a machine's state is called: its worst alarm, or that nothing is wrong with it. */
export function stateOf(alarm: Alarm | undefined): MachineState {
  if (!alarm) return { severity: "SEVERITY_UNSPECIFIED", text: "Normal" };
  const how = isSuppressed(alarm.state) ? alarmStateWord(alarm.state) : severityWord(alarm.severity);
  return { severity: alarm.severity, text: `${how}: ${failureModeWord(alarm.failureMode).toLowerCase()}` };
}

/** Where health stands at the alarm limit and at failure, as the processor's stages health and prognosis define it. */
export const HEALTH_LIMITS = [
  { label: "Failed", value: 0.2 },
  { label: "Alarm limit", value: 0.88 },
] as const;

/** Return the newest health of a machine, 0 to 1; NaN when nothing has said. */
export function healthOf(equipment: Equipment): number {
  const live = machine(equipment.tag)?.series.get("health")?.ring.lastValue ?? NaN;
  if (Number.isFinite(live)) return live;
  return equipment.health > 0 || equipment.openAlarmCount > 0 ? equipment.health : NaN;
}

export const classOf = (equipment: Equipment): string => equipment.equipmentClass.replaceAll("_", " ");

/** What a machine is called beside its tag: its name, else its class. */
export function nameOf(equipment: Equipment): string {
  const { tag, displayName } = equipment;
  return displayName && displayName !== tag ? displayName : initial(classOf(equipment));
}

/** Whether a series says something by itself: aggregates of slow channels, and how fast a machine shakes. */
export const isTelling = (series: { name: string; unit: string; aggregated: boolean }): boolean =>
  (series.aggregated && series.unit !== "m/s2") || series.name.endsWith("/velocity_rms");

/** Return the few series that say most about a machine. */
export function keySeriesOf<S extends { name: string; unit: string; aggregated: boolean }>(
  all: readonly S[],
): S[] {
  const telling = all.filter(isTelling);
  return keySeries(telling.length ? telling : all.filter((s) => s.aggregated), 3);
}

/** Return a series' name as a line of a tile has room for: `Vibration Drive End/velocity_rms` is `Vibration Drive End`. */
export const shortName = (name: string): string =>
  name.endsWith("/velocity_rms") ? name.slice(0, -"/velocity_rms".length) : name;
