import { describe, expect, it } from "vitest";
import { csv } from "../src/csv";
import {
  decimal,
  decimals,
  duration,
  hours,
  hoursBetween,
  number,
  percent,
  quantity,
  unitText,
  utc,
} from "../src/format";
import { word } from "../src/words";

const plain = (text: string): string => text.replaceAll("\u202f", " ");

describe("numbers", () => {
  it("have about four figures", () => {
    expect([0, 0.12345, 3.14159, 42.5, 314.159, 31_415.9].map(number)).toEqual([
      "0.000",
      "0.123",
      "3.14",
      "42.50",
      "314.2",
      "31416",
    ]);
    expect(number(0.00001234)).toBe("1.23e-5");
    expect(number(NaN)).toBe("–");
  });

  it("have their unit, written as a person writes it", () => {
    expect(plain(quantity(4.2, "m/s2"))).toBe("4.20 m/s²");
    expect(plain(quantity(61.5, "degC"))).toBe("61.50 °C");
    expect(quantity(1.5, "1")).toBe("1.50");
    expect(unitText("m3/h")).toBe("m³/h");
    expect(unitText("furlong")).toBe("furlong");
  });

  it("on an axis have as many decimals as their distance needs", () => {
    expect([100, 1, 0.5, 0.25, 0.2, 0.001].map(decimals)).toEqual([0, 0, 1, 2, 1, 3]);
  });

  it("of the books lose only needless zeros", () => {
    expect(["3.000", "100", "0.50", "", "12.340"].map(decimal)).toEqual(["3", "100", "0.5", "0", "12.34"]);
  });

  it("of a share are per cent", () => {
    expect(plain(percent(0.624))).toBe("62 %");
    expect(percent(NaN)).toBe("–");
  });
});

describe("times", () => {
  it("take the largest unit that fits", () => {
    expect(
      [900, 59_999, 60_000, 3_600_000, 47 * 3_600_000, 72 * 3_600_000, -5].map(duration).map(plain),
    ).toEqual(["0 s", "59 s", "1 min", "1 h", "47 h", "3 days", "0 s"]);
    expect([0.2, 30, 96].map(hours).map(plain)).toEqual(["12 min", "30 h", "4 days"]);
    expect(plain(hoursBetween(51, 170))).toBe("2 to 7 days");
    expect(plain(hoursBetween(4, 60))).toBe("4 to 60 h");
    expect(plain(hoursBetween(0.1, 1.5))).toBe("6 to 90 min");
  });

  it("say UTC", () => {
    expect(utc(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe("2026-01-02 03:04:05 UTC");
  });
});

describe("word", () => {
  it("is what a person says for a value of an enum", () => {
    expect(word("TICKET_STATE_IN_PROGRESS", "TICKET_STATE_")).toBe("In progress");
  });
});

describe("csv", () => {
  it("quotes what must be, leaves unknown numbers empty, and starts no formula", () => {
    expect(
      csv([
        ["a,b", 'say "x"', 1.5, NaN],
        ["=1+1", "-2", "plain", -2],
      ]),
    ).toBe('"a,b","say ""x""",1.5,\r\n\'=1+1,\'-2,plain,-2\r\n');
  });
});
