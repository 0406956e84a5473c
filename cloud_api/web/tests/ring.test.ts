import { describe, expect, it } from "vitest";
import { Ring } from "../src/ring";

const values = (ring: Ring): [number, number][] => {
  const found: [number, number][] = [];
  ring.each((time, value) => found.push([time, value]));
  return found;
};

describe("Ring", () => {
  it("keeps the newest points, in their order", () => {
    const ring = new Ring(3);
    for (let t = 1; t <= 10; t += 1) ring.push(t, t * 10);
    expect(values(ring)).toEqual([
      [8, 80],
      [9, 90],
      [10, 100],
    ]);
    expect(ring.size).toBe(3);
    expect(ring.lastTime).toBe(10);
    expect(ring.lastValue).toBe(100);
  });

  it("replaces the newest by a point of its time, and leaves an older one out", () => {
    const ring = new Ring(4);
    ring.push(1, 10);
    ring.push(2, 20);
    ring.push(2, 21);
    ring.push(1, 99);
    expect(values(ring)).toEqual([
      [1, 10],
      [2, 21],
    ]);
  });

  it("is empty before anything came", () => {
    const ring = new Ring(2);
    expect(values(ring)).toEqual([]);
    expect(ring.lastTime).toBe(-Infinity);
    expect(ring.lastValue).toBeNaN();
  });

  it("joins older points before its own without telling a time twice", () => {
    const live = new Ring(5);
    live.push(3, 30);
    live.push(4, 40);
    const stored = new Ring(5);
    for (let t = 0; t <= 3; t += 1) stored.push(t, -t);
    expect(values(live.after(stored))).toEqual([
      [0, -0],
      [1, -1],
      [2, -2],
      [3, 30],
      [4, 40],
    ]);
  });

  it("visits only what is later than a time", () => {
    const ring = new Ring(5);
    for (let t = 1; t <= 5; t += 1) ring.push(t, t);
    const seen: number[] = [];
    ring.each((time) => seen.push(time), 3);
    expect(seen).toEqual([4, 5]);
  });
});
