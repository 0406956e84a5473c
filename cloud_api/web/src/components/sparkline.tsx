import type { Ring } from "../ring";
import { decimate, noPoints } from "../series";

const WIDTH = 64;
const HEIGHT = 18;
const STEPS = 64;
/** How far back it looks. */
const SPAN_MS = 10 * 60_000;

/** Return the path of `values` over `time` in a box; a gap where one is not known. */
export function sparkPath(
  time: readonly number[],
  values: readonly number[],
  width: number,
  height: number,
): string {
  const known = values.filter(Number.isFinite);
  const low = Math.min(...known);
  const range = Math.max(...known) - low;
  const start = time[0] ?? 0;
  const span = (time.at(-1) ?? 0) - start;
  let pen = "M";
  return values
    .map((value, i) => {
      if (!Number.isFinite(value)) {
        pen = "M";
        return "";
      }
      const x = span ? ((time[i]! - start) / span) * width : width / 2;
      const y = range ? height - ((value - low) / range) * height : height / 2;
      const step = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
      return step;
    })
    .join("");
}

/** The way of the last minutes, without axes: beside a number, never alone. */
export function Sparkline({ ring }: { ring: Ring }) {
  const recent = noPoints();
  ring.each((time, value, minimum, maximum) => {
    recent.time.push(time);
    recent.value.push(value);
    recent.minimum.push(minimum);
    recent.maximum.push(maximum);
  }, ring.lastTime - SPAN_MS);
  const { time, value } = decimate(recent, STEPS);
  return (
    <svg class="spark" viewBox={`-1 -1 ${WIDTH + 2} ${HEIGHT + 2}`} aria-hidden="true">
      <path d={sparkPath(time, value, WIDTH, HEIGHT)} />
    </svg>
  );
}
