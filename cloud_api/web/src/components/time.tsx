import { clock, dateTime, duration, utc } from "../format";
import { now } from "../ticking";

interface TimeProps {
  /** RFC 3339, or milliseconds since the epoch. */
  at: string | number | undefined;
  /** With seconds, for events of the plant. */
  seconds?: boolean;
}

/** A time in the local zone, in UTC on hover. */
export function Time({ at, seconds }: TimeProps) {
  const ms = typeof at === "number" ? at : Date.parse(at ?? "");
  if (!Number.isFinite(ms)) return <span class="quiet">–</span>;
  const text = seconds ? `${dateTime(ms).slice(0, 10)} ${clock(ms)}` : dateTime(ms);
  return (
    <time dateTime={new Date(ms).toISOString()} title={utc(ms)}>
      {text}
    </time>
  );
}

/** How long ago, by the wall clock. */
export function Age({ at }: { at: string | undefined }) {
  const ms = Date.parse(at ?? "");
  if (!Number.isFinite(ms)) return null;
  return (
    <time dateTime={new Date(ms).toISOString()} title={`${dateTime(ms)} local, ${utc(ms)}`}>
      {duration(now.value - ms)} ago
    </time>
  );
}
