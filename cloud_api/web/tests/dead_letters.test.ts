import { describe, expect, test } from "vitest";
import type { DeadLetterCount, SetAsideMessage } from "../src/contracts";
import {
  addressOf,
  countedBy,
  fixOf,
  fromHex,
  hexRows,
  NO_FIX,
  spanSeconds,
  stateWord,
  suggestedShift,
} from "../src/dead_letters/letters";

describe("a length of time", () => {
  test.each([
    ["-1d", -86400],
    ["+2h 30m", 9000],
    ["90s", 90],
    ["1.5h", 5400],
    ["250ms", 0.25],
  ])("%s is %d s", (text, seconds) => expect(spanSeconds(text)).toBeCloseTo(seconds));
  test.each(["", "1", "tomorrow", "1d-2h"])("%s is none", (text) =>
    expect(spanSeconds(text)).toBeUndefined(),
  );
});

test("bytes are shown in rows of sixteen, and read back", () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, i) => i + 60);
  const rows = hexRows(bytes, 10);
  expect(rows.map((r) => [r.offset, r.hex.length])).toEqual([
    [0, 16],
    [16, 4],
  ]);
  expect(rows[0]!.text).toBe("<=>?@ABCDEFGHIJK");
  expect(atob(fromHex("3c 3D\n3e"))).toBe("<=>");
  expect(() => fromHex("3c 3")).toThrow("pairs");
  expect(hexRows(bytes, 1)).toHaveLength(1);
});

test("a clock that was ahead is put back by what the detail says", () => {
  const letter = (detail: string) => ({ reason: "TIME_IN_FUTURE", detail }) as SetAsideMessage;
  expect(suggestedShift(letter("sent 86403000 ms after it was received"))).toBe("-1d");
  expect(suggestedShift(letter("sent 7205000 ms after it was received"))).toBe("-2h");
  expect(suggestedShift(letter("its samples lie elsewhere"))).toBe("");
});

test("a draft becomes the contract's fix, and nothing when it changes nothing", () => {
  expect(fixOf(NO_FIX)).toBeUndefined();
  expect(
    fixOf({
      ...NO_FIX,
      shift: "-1d",
      values: { Temperature: "21.5" },
      removed: ["Humidity"],
      added: [
        { name: " Speed ", value: "1450" },
        { name: "", value: "" },
      ],
    }),
  ).toEqual({
    shiftTime: "-86400s",
    edits: [
      { metric: "Temperature", value: "21.5", remove: false },
      { metric: "Humidity", remove: true },
      { metric: "Speed", value: "1450", remove: false },
    ],
    device: "",
    keepDecoded: false,
    payload: "",
  });
  expect(() => fixOf({ ...NO_FIX, shift: "soon" })).toThrow("length of time");
});

test("counts are summed by one field, the most frequent first", () => {
  const count = (reason: string, state: DeadLetterCount["state"], n: number): DeadLetterCount => ({
    reason,
    state,
    site: "a",
    edgeNode: "b",
    count: n,
  });
  const counts = [
    count("NO_BIRTH", "DEAD_LETTER_STATE_OPEN", 2),
    count("UNDECODABLE", "DEAD_LETTER_STATE_OPEN", 5),
    count("NO_BIRTH", "DEAD_LETTER_STATE_REPLAYED", 4),
  ];
  expect(countedBy(counts, "reason")).toEqual([
    { value: "NO_BIRTH", count: 6 },
    { value: "UNDECODABLE", count: 5 },
  ]);
});

test("states are said in words, and names lead to pages", () => {
  expect(stateWord({ state: "DEAD_LETTER_STATE_REPLAYED", outcome: "REPLAY_OUTCOME_TAKEN" })).toBe(
    "Replayed, took effect",
  );
  expect(addressOf("deadLetters/telemetry-7")).toBe("/set-aside/telemetry-7");
});
