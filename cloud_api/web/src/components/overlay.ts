import type uPlot from "uplot";
import { token } from "../theme";

/** A value somebody set: a dashed line with its name. */
export interface Limit {
  label: string;
  value: number;
}

/** Where the value usually is: soft grey. */
export interface Baseline {
  from: number;
  to: number;
}

/** A tinted stretch of time: an anomaly. */
export interface Span {
  from: number;
  to: number;
  tone: string;
}

/** Something that happened, or a place on a frequency axis that has a name. */
export interface Flag {
  at: number;
  label: string;
  tone?: string;
}

export interface Overlay {
  limits?: readonly Limit[];
  baseline?: Baseline | undefined;
  spans?: readonly Span[];
  flags?: readonly Flag[];
}

const FONT = 11;

function drawUnder(u: uPlot, { baseline, spans }: Overlay): void {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  if (baseline) {
    const [high, low] = [u.valToPos(baseline.to, "y", true), u.valToPos(baseline.from, "y", true)];
    u.ctx.fillStyle = token("--plot-baseline");
    u.ctx.fillRect(left, high, width, Math.max(2, low - high));
  }
  for (const span of spans ?? []) {
    const [from, to] = [u.valToPos(span.from, "x", true), u.valToPos(span.to, "x", true)];
    u.ctx.globalAlpha = 0.14;
    u.ctx.fillStyle = token(`--${span.tone}`);
    u.ctx.fillRect(from, top, Math.max(2, to - from), height);
    u.ctx.globalAlpha = 1;
  }
  u.ctx.restore();
}

function drawOver(u: uPlot, { limits, flags }: Overlay): void {
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio;
  u.ctx.save();
  u.ctx.font = `${FONT * ratio}px ${token("--font")}`;
  u.ctx.lineWidth = ratio;
  u.ctx.textBaseline = "bottom";
  u.ctx.textAlign = "left";
  for (const limit of limits ?? []) {
    const y = u.valToPos(limit.value, "y", true);
    if (!(y >= top && y <= top + height)) continue;
    u.ctx.strokeStyle = u.ctx.fillStyle = token("--plot-limit");
    u.ctx.setLineDash([5 * ratio, 4 * ratio]);
    u.ctx.beginPath();
    u.ctx.moveTo(left, y);
    u.ctx.lineTo(left + width, y);
    u.ctx.stroke();
    u.ctx.fillText(limit.label, left + 4 * ratio, y - 2 * ratio);
  }
  u.ctx.textBaseline = "top";
  const placed = [...(flags ?? [])]
    .map((flag) => ({ ...flag, x: u.valToPos(flag.at, "x", true) }))
    .filter(({ x }) => x >= left && x <= left + width)
    .sort((a, b) => a.x - b.x);
  let free = -Infinity;
  placed.forEach(({ x, ...flag }, i) => {
    u.ctx.strokeStyle = u.ctx.fillStyle = token(flag.tone ? `--${flag.tone}-text` : "--plot-flag");
    u.ctx.setLineDash([2 * ratio, 3 * ratio]);
    u.ctx.beginPath();
    u.ctx.moveTo(x, top);
    u.ctx.lineTo(x, top + height);
    u.ctx.stroke();
    const wide = u.ctx.measureText(flag.label).width;
    const leftward = x + wide + 4 * ratio > left + width;
    const next = placed[i + 1]?.x ?? Infinity;
    if (leftward ? x - wide < free : x < free || x + wide + 4 * ratio > next) return;
    u.ctx.textAlign = leftward ? "right" : "left";
    u.ctx.fillText(flag.label, x + (leftward ? 0 : -1) * ratio, top - (FONT + 3) * ratio);
    free = leftward ? x : x + wide + 8 * ratio;
  });
  u.ctx.restore();
}

/** Draw what `read` returns under and over the lines of a plot. */
export function overlay(read: () => Overlay): uPlot.Plugin {
  return {
    hooks: {
      drawClear: [(u) => drawUnder(u, read())],
      draw: [(u) => drawOver(u, read())],
    },
  };
}
