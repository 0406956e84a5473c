import { describe, expect, it } from "vitest";
import { readFilters, toggled, writeFilter } from "../src/address";
import { bindPath, toQuery } from "../src/api";
import {
  conductor,
  goLive,
  pause,
  readConductor,
  showRange,
  windowOf,
  writeConductor,
} from "../src/conductor";
import { hierarchy, isUnder, itemsUnder } from "../src/hierarchy";
import { match } from "../src/match";

describe("filters", () => {
  it("come back from the address as they went in", () => {
    let query = writeFilter("", "state", ["shelved", "normal"]);
    query = writeFilter(query, "equipment", ["P-101"]);
    expect(query).toBe("?state=shelved,normal&equipment=P-101");
    expect(readFilters(query, ["state", "equipment", "severity"])).toEqual({
      state: ["shelved", "normal"],
      equipment: ["P-101"],
      severity: [],
    });
  });

  it("leave the address when empty, and leave what is not theirs", () => {
    expect(writeFilter("?span=1h&state=shelved", "state", [])).toBe("?span=1h");
    expect(writeFilter("?state=shelved", "state", [])).toBe("");
  });

  it("are put in and out by turns", () => {
    expect(toggled(["a"], "b")).toEqual(["a", "b"]);
    expect(toggled(["a", "b"], "a")).toEqual(["b"]);
  });
});

describe("the conductor", () => {
  it("goes through the address and back", () => {
    showRange(Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2));
    const query = writeConductor("?feature=x", conductor.value);
    expect(query).toBe("?feature=x&from=2026-01-01T00:00:00.000Z&to=2026-01-02T00:00:00.000Z");
    expect(readConductor(query)).toEqual(conductor.value);
    goLive(3_600_000);
    expect(writeConductor(query, conductor.value)).toBe("?feature=x&span=1h");
    expect(readConductor("?span=1h")).toEqual({ mode: "live", span: 3_600_000 });
  });

  it("asks nothing of an address without it, or with a range that ends before it begins", () => {
    expect(readConductor("?state=shelved")).toBeUndefined();
    expect(readConductor("?from=2026-01-02&to=2026-01-01")).toBeUndefined();
  });

  it("ends a live window at the newest sample, whatever the wall clock says", () => {
    goLive(60_000);
    expect(windowOf(conductor.value, 500_000)).toEqual({ start: 440_000, end: 500_000 });
    pause();
    expect(conductor.value.mode).toBe("paused");
    expect(windowOf({ mode: "range", start: 1, end: 2 }, 500_000)).toEqual({ start: 1, end: 2 });
  });
});

describe("the path of a call", () => {
  it("takes names whole and leaves the rest to the query", () => {
    expect(bindPath("/v1/{name=tickets/*}:approve", { name: "tickets/a b" }).path).toBe(
      "/v1/tickets/a%20b:approve",
    );
    const { path, used } = bindPath("/v1/equipment/{equipment}/points", {
      equipment: "P-101",
      series: "Flow",
    });
    expect(path).toBe("/v1/equipment/P-101/points");
    expect([...used]).toEqual(["equipment"]);
    expect(bindPath("/v1/{ticket.name=tickets/*}", { ticket: { name: "tickets/1" } }).path).toBe(
      "/v1/tickets/1",
    );
  });

  it("repeats what is repeated and leaves out what is empty", () => {
    expect(toQuery({ states: ["A", "B"], site: "", pageSize: 5 })).toBe("?states=A&states=B&pageSize=5");
    expect(toQuery({})).toBe("");
  });
});

describe("the hierarchy", () => {
  const machines = [
    { tag: "P-2", path: "e/s/utilities/water" },
    { tag: "P-1", path: "e/s/utilities/water" },
    { tag: "C-1", path: "e/s/packaging" },
  ];

  it("puts every machine at its level once", () => {
    const root = hierarchy(machines);
    expect(itemsUnder(root).map((m) => m.tag)).toEqual(["C-1", "P-1", "P-2"]);
    const site = root.below[0]!.below[0]!;
    expect(site.below.map((l) => [l.label, l.path])).toEqual([
      ["packaging", "e/s/packaging"],
      ["utilities", "e/s/utilities"],
    ]);
  });

  it("knows what is under a path by whole levels", () => {
    expect(isUnder("e/s/line-10", "e/s/line-1")).toBe(false);
    expect(isUnder("e/s/line-1/cell", "e/s/line-1")).toBe(true);
    expect(isUnder("anything", "")).toBe(true);
  });
});

describe("match", () => {
  it("wants every word, and puts what begins with one first", () => {
    const all = ["Discharge pump", "P-101 pump", "Fan"];
    expect(match(all, "pump", (t) => t)).toHaveLength(2);
    expect(match(all, "p-1 pump", (t) => t)).toEqual(["P-101 pump"]);
    expect(match(all, "", (t) => t)).toEqual(all);
    expect(match(all, "valve", (t) => t)).toEqual([]);
  });
});
