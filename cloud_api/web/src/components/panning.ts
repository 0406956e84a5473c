import type uPlot from "uplot";

/** Move the window with the pointer while shift is held; `onPan` is told where it was let go. */
export function panning(onPan: (start: number, end: number) => void): uPlot.Plugin {
  const begin = (u: uPlot, down: MouseEvent): void => {
    const { min, max } = u.scales["x"]!;
    if (!down.shiftKey || min == null || max == null) return;
    down.preventDefault();
    down.stopImmediatePropagation();
    const perPixel = (max - min) / u.over.clientWidth;
    const release = (up: MouseEvent): void => {
      removeEventListener("mouseup", release);
      const moved = (down.clientX - up.clientX) * perPixel;
      if (moved) onPan(min + moved, max + moved);
    };
    addEventListener("mouseup", release);
  };
  return { hooks: { init: [(u) => u.root.addEventListener("mousedown", (event) => begin(u, event), true)] } };
}
