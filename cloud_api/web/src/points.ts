import { type Signal, signal } from "@preact/signals";
import type { LivePoints } from "./live";
import { Ring } from "./ring";

/** Live points kept a series; older ones are in the historian. */
const CAPACITY = 900;
/** The pages are told of new points at most this often. */
const FLUSH_MS = 250;

export interface LiveSeries {
  name: string;
  unit: string;
  /** One-second aggregates of raw samples; false for features, scores and indices. */
  aggregated: boolean;
  ring: Ring;
}

/** What is known of a machine since this page was opened. */
export interface LiveEquipment {
  series: Map<string, LiveSeries>;
  /** When the edge agent made the newest block, server's clock. */
  sentTime: number;
  /** Usual distance of its blocks in milliseconds; 0 when not known yet. */
  interval: number;
  /** Event time of its newest point. */
  lastTime: number;
}

/** How often live points were missed: what is drawn must be read from the historian again. */
export const gaps = signal(0);

const machines = new Map<string, LiveEquipment>();
const versions = new Map<string, Signal<number>>();
const changed = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Grows whenever points of the equipment came; read `.value` to be told. */
export function version(tag: string): Signal<number> {
  let found = versions.get(tag);
  if (!found) versions.set(tag, (found = signal(0)));
  return found;
}

export const machine = (tag: string): LiveEquipment | undefined => machines.get(tag);

function touched(tag: string): LiveEquipment {
  let found = machines.get(tag);
  if (!found) {
    found = { series: new Map(), sentTime: 0, interval: 0, lastTime: 0 };
    machines.set(tag, found);
  }
  return found;
}

/** Return the series of a machine, made when it is new. */
function seriesOf(tag: string, name: string, unit: string, aggregated: boolean): LiveSeries {
  const { series } = touched(tag);
  let found = series.get(name);
  if (!found) series.set(name, (found = { name, unit, aggregated, ring: new Ring(CAPACITY) }));
  return found;
}

function flush(): void {
  timer = undefined;
  for (const tag of changed) version(tag).value += 1;
  changed.clear();
}

function announce(tag: string): void {
  changed.add(tag);
  timer ??= setTimeout(flush, FLUSH_MS);
}

const known = (value: number | null | undefined): number => value ?? NaN;

/** Take a block of live points. */
export function take(message: LivePoints): void {
  const found = touched(message.equipment);
  const step = message.sentTimeMs - found.sentTime;
  if (found.sentTime && step > 0) found.interval = found.interval ? found.interval * 0.8 + step * 0.2 : step;
  found.sentTime = Math.max(found.sentTime, message.sentTimeMs);
  for (const { channel, unit, timeMs, mean, minimum, maximum } of message.aggregates ?? []) {
    const { ring } = seriesOf(message.equipment, channel, unit, true);
    timeMs.forEach((time, i) =>
      ring.push(Number(time), known(mean[i]), known(minimum[i]), known(maximum[i])),
    );
    found.lastTime = Math.max(found.lastTime, ring.lastTime);
  }
  for (const { name, unit, timeMs, value } of message.series ?? []) {
    const { ring } = seriesOf(message.equipment, name, unit, false);
    timeMs.forEach((time, i) => ring.push(Number(time), known(value[i])));
    found.lastTime = Math.max(found.lastTime, ring.lastTime);
  }
  announce(message.equipment);
}

/** Put what the historian knows before what came live. */
export function prefill(
  tag: string,
  info: { name: string; unit: string; aggregated: boolean },
  points: { time: number[]; value: number[]; minimum: number[]; maximum: number[] },
): void {
  const series = seriesOf(tag, info.name, info.unit, info.aggregated);
  const stored = new Ring(CAPACITY);
  points.time.forEach((time, i) =>
    stored.push(time, points.value[i]!, points.minimum[i]!, points.maximum[i]!),
  );
  series.ring = series.ring.after(stored);
  const found = touched(tag);
  found.lastTime = Math.max(found.lastTime, series.ring.lastTime);
  announce(tag);
}

/** Forget everything: someone else signs in. */
export function forgetPoints(): void {
  machines.clear();
  changed.clear();
}
