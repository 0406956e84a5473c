import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { conductor, followers, goLive, showRange, windowOf } from "../conductor";
import { queryPoints } from "../contracts";
import { quantity, unitText } from "../format";
import { gaps, machine, version } from "../points";
import { download } from "../csv";
import { breakGaps, colourOf, decimate, noPoints, type Points, withLive } from "../series";
import { Icon } from "./icons";
import type { Overlay } from "./overlay";
import { Plot } from "./plot";

export interface TrendProps {
  tag: string;
  site: string;
  series: { name: string; unit: string; aggregated: boolean };
  /** Event time of the newest sample the historian has of the machine. */
  lastTime: number;
  title?: string;
  height?: number;
  overlay?: Overlay;
  /** Stays at these times whatever the conductor says. */
  fixed?: { start: number; end: number };
}

const MAX_POINTS = 600;
const NOTHING: Overlay = {};

interface Stored {
  start: number;
  end: number;
  points: Points;
}

/** Read the historian for the window, and again when a live window has left a quarter of it behind. */
function useStored(
  { tag, site, series, fixed }: TrendProps,
  start: number,
  end: number,
): { stored: Stored; error: string } {
  const [stored, setStored] = useState<Stored>({ start: 0, end: 0, points: noPoints() });
  const [error, setError] = useState("");
  const step = fixed || conductor.value.mode === "range" ? 1 : (end - start) / 4;
  const key = `${tag}/${series.name}/${end - start}/${Math.floor(end / step)}/${gaps.value}`;
  const latest = useRef({ start, end });
  latest.current = { start, end };
  useEffect(() => {
    const { start, end } = latest.current;
    if (!Number.isFinite(start) || end <= 0) return;
    const stop = new AbortController();
    queryPoints(
      {
        equipment: tag,
        site,
        series: series.name,
        startTime: new Date(start).toISOString(),
        endTime: new Date(end + 1).toISOString(),
        maxPoints: MAX_POINTS,
      },
      stop.signal,
    )
      .then(({ timeMs, value, minimum, maximum }) => {
        if (stop.signal.aborted) return;
        const points = { time: timeMs.map(Number), value, minimum, maximum };
        setStored({ start, end, points });
        setError("");
      })
      .catch((reason: Error) => !stop.signal.aborted && setError(reason.message));
    return () => stop.abort();
  }, [key]);
  return { stored, error };
}

const nullable = (values: readonly number[]): (number | null)[] =>
  values.map((v) => (Number.isFinite(v) ? v : null));

/** One series over time: the historian's past, the live present, its envelope and what happened. */
export function Trend(props: TrendProps) {
  const { tag, series, fixed, title = series.name, height = 168 } = props;
  const colour = colourOf(series.name);
  const state = conductor.value;
  const tick = version(tag).value;
  const newest = Math.max(props.lastTime || 0, machine(tag)?.lastTime ?? 0);
  const held = useRef(newest);
  if (state.mode === "live" || held.current === 0) held.current = newest;
  const { start, end } = fixed ?? windowOf(state, held.current);
  const { stored, error } = useStored(props, start, end);
  const [cursor, setCursor] = useState<number | null>(null);

  useEffect(() => {
    if (fixed) return;
    followers.value += 1;
    return () => {
      followers.value -= 1;
    };
  }, [Boolean(fixed)]);

  const points = useMemo(() => {
    const ring = machine(tag)?.series.get(series.name)?.ring;
    return breakGaps(decimate(withLive(stored.points, ring, start, end), MAX_POINTS * 2));
  }, [stored, tick, start, end]);
  const data = useMemo(
    () => [
      points.time,
      nullable(points.value),
      ...(series.aggregated ? [nullable(points.maximum), nullable(points.minimum)] : []),
    ],
    [points, series.aggregated],
  );
  const view = useMemo(() => ({ start, end }), [start, end]);

  const known = points.value.filter(Number.isFinite);
  const shown =
    cursor !== null && Number.isFinite(points.value[cursor]!) ? points.value[cursor]! : (known.at(-1) ?? NaN);
  const summary = known.length
    ? `${title}: now ${quantity(known.at(-1)!, series.unit)}, between ${quantity(Math.min(...known), series.unit)} and ${quantity(Math.max(...known), series.unit)}`
    : `${title}: no samples in this window`;
  const save = (): void =>
    download(`${tag} ${series.name}.csv`, [
      ["time", `mean ${unitText(series.unit)}`, "minimum", "maximum"],
      ...points.time.map((t, i) => [
        new Date(t).toISOString(),
        points.value[i]!,
        points.minimum[i]!,
        points.maximum[i]!,
      ]),
    ]);

  return (
    <figure class="trend">
      <figcaption class="trend-head">
        <span class={`swatch swatch-${colour}`} aria-hidden="true" />
        <span class="trend-title">{title}</span>
        <span class="trend-value num">{Number.isFinite(shown) ? quantity(shown, series.unit) : ""}</span>
        <button
          type="button"
          class="icon-button"
          onClick={save}
          title="Save as CSV"
          aria-label={`Save ${title} as CSV`}
        >
          <Icon name="download" />
        </button>
      </figcaption>
      <div class="trend-body">
        <Plot
          label={summary}
          height={height}
          data={data}
          unit={series.unit}
          envelope={series.aggregated}
          colour={colour}
          window={view}
          overlay={props.overlay ?? NOTHING}
          sync={fixed ? `fixed-${tag}` : "conductor"}
          onZoom={fixed ? undefined : showRange}
          onReset={fixed ? undefined : () => goLive()}
          onCursor={setCursor}
        />
        {(error || !known.length) && <p class="trend-note quiet">{error || "No samples in this window"}</p>}
      </div>
    </figure>
  );
}
