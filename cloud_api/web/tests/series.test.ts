import { describe, expect, it } from "vitest";
import { sparkPath } from "../src/components/sparkline";
import { Ring } from "../src/ring";
import { breakGaps, colourOf, decimate, keySeries, type Points, typicalStep, withLive } from "../src/series";

const points = (time: number[], value: number[]): Points => ({
  time,
  value,
  minimum: value.map((v) => v - 1),
  maximum: value.map((v) => v + 1),
});

describe("decimate", () => {
  it("returns few points as they are", () => {
    const few = points([1, 2], [3, 4]);
    expect(decimate(few, 5)).toBe(few);
  });

  it("keeps the least minimum and the greatest maximum of every bucket", () => {
    const value = Array.from({ length: 1000 }, (_, i) => Math.sin(i));
    value[437] = 50;
    const all = points(
      value.map((_, i) => i),
      value,
    );
    const thin = decimate(all, 100);
    expect(thin.time).toHaveLength(100);
    expect(Math.max(...thin.maximum)).toBe(51);
    expect(Math.min(...thin.minimum)).toBeCloseTo(Math.min(...all.minimum));
    const mean = (list: number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
    expect(mean(thin.value)).toBeCloseTo(mean(value), 9);
  });

  it("leaves a bucket without a number unknown", () => {
    const thin = decimate(points([0, 1, 2, 3], [NaN, NaN, 4, 6]), 2);
    expect(thin.value[0]).toBeNaN();
    expect(thin.value[1]).toBe(5);
  });
});

describe("breakGaps", () => {
  it("puts an unknown value where a distance is far over the usual one", () => {
    const broken = breakGaps(points([0, 1000, 2000, 60_000, 61_000], [1, 2, 3, 4, 5]));
    expect(broken.time).toEqual([0, 1000, 2000, 31_000, 60_000, 61_000]);
    expect(broken.value[3]).toBeNaN();
  });

  it("takes a slow machine's distance as the usual one", () => {
    const slow = points([0, 600_000, 1_200_000], [1, 2, 3]);
    expect(typicalStep(slow.time)).toBe(600_000);
    expect(breakGaps(slow)).toEqual(slow);
  });
});

describe("withLive", () => {
  it("appends what came after the stored points and cuts to the window", () => {
    const ring = new Ring(10);
    for (let t = 3; t <= 8; t += 1) ring.push(t, t * 10);
    const merged = withLive(points([1, 2, 3, 4], [10, 20, 30, 40]), ring, 2, 7);
    expect(merged.time).toEqual([2, 3, 4, 5, 6, 7]);
    expect(merged.value).toEqual([20, 30, 40, 50, 60, 70]);
  });
});

describe("keySeries", () => {
  it("takes one of each unit, what shakes before what is hot", () => {
    const all = [
      { name: "Current", unit: "A" },
      { name: "Winding Temperature", unit: "degC" },
      { name: "Bearing Temperature", unit: "degC" },
      { name: "Vibration/velocity_rms", unit: "mm/s" },
    ];
    expect(keySeries(all, 3).map((s) => s.name)).toEqual([
      "Vibration/velocity_rms",
      "Bearing Temperature",
      "Current",
    ]);
    expect(keySeries(all, 4).at(-1)?.name).toBe("Winding Temperature");
  });
});

describe("colourOf", () => {
  it("is one of eight, and the same for the same name", () => {
    for (const name of ["Flow", "health", "Vibration Drive End/rms"]) {
      expect(colourOf(name)).toBe(colourOf(name));
      expect(colourOf(name)).toBeGreaterThanOrEqual(1);
      expect(colourOf(name)).toBeLessThanOrEqual(8);
    }
  });
});

describe("sparkPath", () => {
  it("spans the box, and lifts the pen at a gap", () => {
    expect(sparkPath([0, 10], [0, 5], 60, 20)).toBe("M0.0 20.0L60.0 0.0");
    expect(sparkPath([0, 1, 2], [1, NaN, 1], 60, 20)).toBe("M0.0 10.0M60.0 10.0");
  });
});
