import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const tokens = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");

/** Return the colours of one theme by name. */
function colours(selector: string): Map<string, string> {
  const start = tokens.indexOf(`${selector} {`);
  const body = tokens.slice(start, tokens.indexOf("}", start));
  return new Map([...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1]!, m[2]!]));
}

/** Relative luminance, WCAG 2.2. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = parseInt(colour.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

const light = colours(":root");
const themes = { light, dark: new Map([...light, ...colours(':root[data-theme="dark"]')]) };

describe.each(Object.entries(themes))("the %s theme", (_, theme) => {
  const of = (a: string, b: string): number => contrast(theme.get(a)!, theme.get(b)!);

  it.each(["text", "text-quiet", "accent-text", "critical-text", "high-text", "medium-text", "low-text"])(
    "%s can be read on every ground",
    (name) => {
      for (const ground of ["ground", "surface"]) expect(of(name, ground)).toBeGreaterThanOrEqual(4.5);
    },
  );

  it.each(["critical", "high", "medium", "low"])("a band of %s can be read", (tone) => {
    for (const name of ["text", "text-quiet"]) expect(of(name, `${tone}-soft`)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(["critical-edge", "high-edge", "medium-edge", "low-edge", "outline", "accent"])(
    "%s stands out from a surface",
    (name) => {
      expect(of(name, "surface")).toBeGreaterThanOrEqual(3);
    },
  );

  it("every line stands out from the chart", () => {
    for (let n = 1; n <= 8; n += 1) expect(of(`line-${n}`, "surface")).toBeGreaterThanOrEqual(3);
  });

  it("a pressed chip can be read", () => {
    expect(of("accent-text", "accent-soft")).toBeGreaterThanOrEqual(4.5);
  });
});
