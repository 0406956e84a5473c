import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { decimals, unitText } from "../format";
import { theme, token } from "../theme";
import { type Overlay, overlay } from "./overlay";
import { panning } from "./panning";
import { timeTicks } from "./time_axis";

export interface PlotProps {
  /** What a screen reader is told instead of the picture. */
  label: string;
  height: number;
  /** Rows of equal length: x, then `value`, then maximum and minimum when `envelope` is set. */
  data: (number | null)[][];
  unit: string;
  /** Milliseconds since the epoch when absent. */
  xUnit?: string;
  envelope?: boolean;
  log?: boolean;
  /** Number of the line's colour, 1 to 8. */
  colour?: number;
  window?: { start: number; end: number } | undefined;
  overlay?: Overlay;
  /** Plots of one key share the cursor. */
  sync?: string;
  onZoom?: (start: number, end: number) => void;
  onReset?: () => void;
  onCursor?: (index: number | null) => void;
}

/** The plotting library comes once, when the first plot needs it. */
const library = (): Promise<typeof uPlot> => import("./uplot").then((module) => module.default);

/** Return the y range: what is drawn, its limits, and a little air. */
function range(low: number | null, high: number | null, { limits, baseline }: Overlay): [number, number] {
  const marks = [...(limits ?? []).map((l) => l.value), ...(baseline ? [baseline.from, baseline.to] : [])];
  const values = [low, high, ...marks].filter((v): v is number => v !== null && Number.isFinite(v));
  if (!values.length) return [0, 1];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const air = (most - least || Math.abs(most) || 1) * 0.08;
  return [least >= 0 && least < air * 2 ? 0 : least - air, most + air];
}

/** Return the values that no line would show: those without a known neighbour. */
function alone(u: uPlot, series: number): number[] {
  const values = u.data[series] ?? [];
  const known = (i: number): boolean => typeof values[i] === "number";
  return [...values.keys()].filter((i) => known(i) && !known(i - 1) && !known(i + 1));
}

const within = (window: PlotProps["window"], low: number, high: number): [number, number] =>
  window ? [window.start, window.end] : [low, high];

const logTicks = (_: uPlot, ticks: (number | null)[]): string[] =>
  ticks.map((t) => (t !== null && Number.isInteger(Math.log10(t)) ? t.toExponential(0) : ""));

function options(width: number, props: () => PlotProps): uPlot.Options {
  const { height, unit, xUnit, envelope, log, colour = 1, sync } = props();
  const line = token(`--line-${colour}`);
  const axis: uPlot.Axis = {
    stroke: token("--text-quiet"),
    grid: { stroke: token("--plot-grid"), width: 1 },
    ticks: { show: false },
    font: `11px ${token("--font")}`,
  };
  const yAxis: uPlot.Axis = {
    ...axis,
    size: 54,
    values: log ? logTicks : (_, ticks, __, ___, step) => ticks.map((t) => t.toFixed(decimals(step))),
    label: unitText(unit) || " ",
    labelSize: 16,
    labelFont: axis.font,
    labelGap: 0,
  };
  const hidden: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
  const xAxis: uPlot.Axis = xUnit
    ? { ...axis, values: (_, ticks) => ticks.map((t) => `${t} ${xUnit}`), space: 70, size: 26 }
    : { ...axis, values: timeTicks, space: 76, size: 26 };
  return {
    width,
    height,
    ms: 1,
    padding: [18, 18, 0, 0],
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
      ...(sync ? { sync: { key: sync } } : {}),
      bind: { dblclick: () => () => (props().onReset?.(), null) },
    },
    scales: {
      x: { time: !xUnit, range: (_, low, high) => within(props().window, low, high) },
      y: log ? { distr: 3, log: 10 } : { range: (_, low, high) => range(low, high, props().overlay ?? {}) },
    },
    axes: [xAxis, yAxis],
    series: [
      {},
      { stroke: line, width: 1.5, points: { show: true, size: 4, width: 0, fill: line, filter: alone } },
      ...(envelope ? [hidden, hidden] : []),
    ],
    ...(envelope ? { bands: [{ series: [2, 3] as [number, number], fill: `${line}33` }] } : {}),
    plugins: [overlay(() => props().overlay ?? {}), panning((start, end) => props().onZoom?.(start, end))],
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          props().onZoom?.(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [(u) => props().onCursor?.(u.cursor.idx ?? null)],
    },
  };
}

/** One chart; it keeps its height before anything is drawn, so that nothing moves. */
export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const { unit, xUnit, envelope, log, colour, height, sync } = props;

  useEffect(() => {
    const place = box.current;
    if (!place) return;
    let gone = false;
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: place.clientWidth, height }));
    void library().then((made) => {
      if (gone) return;
      const read = (): PlotProps => latest.current;
      plot.current = new made(options(place.clientWidth, read), read().data as uPlot.AlignedData, place);
      resize.observe(place);
    });
    return () => {
      gone = true;
      resize.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [unit, xUnit, envelope, log, colour, height, sync, theme.value]);

  useEffect(() => {
    plot.current?.setData(props.data as uPlot.AlignedData);
  }, [props.data, props.window?.start, props.window?.end, props.overlay]);

  return <div ref={box} class="plot" style={{ height: `${height}px` }} role="img" aria-label={props.label} />;
}
