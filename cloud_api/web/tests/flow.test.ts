import { describe, expect, it } from "vitest";
import type { Flow, FlowNode, Processor, ProcessorPartition } from "../src/contracts";
import { breakable, count, historyPath, rate, seconds, stepWord } from "../src/flow/figures";
import { layoutOf, linesOf } from "../src/flow/layout";
import { fallsBehind, isStale, partitionsOf, troublesOf } from "../src/flow/trouble";

const plain = (text: string): string => text.replaceAll("\u202f", " ");
const NOW = Date.parse("2026-05-01T12:00:00Z");

function node(name: string, feeds: string[] = [], more: Partial<FlowNode> = {}): FlowNode {
  return {
    name,
    kind: "FLOW_NODE_KIND_STAGE",
    feeds,
    items: "0",
    deadLetters: "0",
    recentDeadLetters: "0",
    history: [],
    ...more,
  };
}

/** The flow of the processor, with two stages. */
const STEPS = [
  node("telemetry", ["acquisition", "to_dead_letters"]),
  node("acquisition", [
    "late_correction",
    "manipulation",
    "to_historian",
    "to_dead_letters",
    "to_edge_nodes",
    "acknowledgements",
  ]),
  node("late_correction", ["to_historian", "to_dead_letters"]),
  node("manipulation", ["detection", "to_dead_letters"]),
  node("detection", ["to_maintenance", "to_historian", "to_dead_letters"]),
  node("to_maintenance"),
  node("to_historian"),
  node("to_dead_letters"),
  node("to_edge_nodes"),
  node("acknowledgements"),
];

describe("layout", () => {
  const { places, ways, columns, rows } = layoutOf(STEPS);
  const at = (name: string): number[] => {
    const place = places.find((p) => p.node.name === name)!;
    return [place.column, place.row];
  };
  const way = (from: string, to: string) => ways.find((w) => w.from === from && w.to === to)!.corners;

  it("puts the longest way in one row, and sinks after what feeds them", () => {
    expect([columns, rows]).toEqual([5, 3]);
    const main = ["telemetry", "acquisition", "manipulation", "detection", "to_maintenance"];
    expect(main.map(at)).toEqual([0, 1, 2, 3, 4].map((column) => [column, 0]));
    expect(["late_correction", "to_edge_nodes", "acknowledgements"].map(at), "three rows").toEqual([
      [2, 1],
      [2, 2],
      [3, 2],
    ]);
    expect(["to_historian", "to_dead_letters"].map(at)).toEqual([
      [4, 1],
      [4, 2],
    ]);
  });

  it("lets no two steps stand at the same place, and draws every way", () => {
    expect(new Set(places.map((p) => `${p.column} ${p.row}`)).size).toBe(STEPS.length);
    expect(ways.length).toBe(STEPS.reduce((sum, s) => sum + s.feeds.length, 0));
  });

  it("leads ways between columns, so that they cross no step", () => {
    expect(way("telemetry", "acquisition")).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(way("late_correction", "to_historian"), "its row is free").toEqual([
      [2, 1],
      [4, 1],
    ]);
    expect(way("acquisition", "to_edge_nodes")).toEqual([
      [1, 0],
      [1.5, 0],
      [1.5, 2],
      [2, 2],
    ]);
    expect(way("telemetry", "to_dead_letters")).toEqual([
      [0, 0],
      [0.5, 0],
      [0.5, 1.54],
      [3.5, 1.54],
      [3.5, 2],
      [4, 2],
    ]);
    expect(way("acquisition", "acknowledgements")[2], "a lane of its own").toEqual([1.5, 1.46]);
  });

  it("draws a line that several ways share once", () => {
    const shared = ways.filter((w) => w.to === "to_dead_letters");
    const flat = linesOf(shared).filter(([a, b]) => a![1] === b![1] && a![1] === 1.54);
    expect(flat).toEqual([
      [
        [0.5, 1.54],
        [3.5, 1.54],
      ],
    ]);
    expect(linesOf([])).toEqual([]);
  });

  it("has an end also for what goes round, and nothing for nothing", () => {
    expect(layoutOf([node("a", ["b"]), node("b", ["a", "gone"])]).places).toHaveLength(2);
    expect(layoutOf([])).toEqual({ places: [], ways: [], columns: 0, rows: 0 });
  });
});

describe("figures", () => {
  it("gives rates the figures they deserve", () => {
    const said = [undefined, NaN, 0, 0.01, 0.34, 9.96, 99.6, 12345.6].map((v) => plain(rate(v)));
    expect(said).toEqual(["–", "–", "0", "<0.1", "0.3", "10", "100", "12 346"]);
    expect(plain(count(1234567))).toBe("1 234 567");
    expect([0, 9.94, 9.96, 119, 121, 7300].map((v) => plain(seconds(v)))).toEqual([
      "0 s",
      "9.9 s",
      "10 s",
      "119 s",
      "2 min",
      "2 h",
    ]);
  });

  it("calls steps by what they are", () => {
    expect(["telemetry", "to_edge_nodes", "state_detection"].map(stepWord)).toEqual([
      "Telemetry log",
      "Edge nodes",
      "State detection",
    ]);
  });

  it("parts long words only", () => {
    const parted = ["Acknowledgements", "Health assessment", "Data manipulation"].map(breakable);
    expect(parted).toEqual(["Acknowledge\u00adments", "Health assessment", "Data manipulation"]);
  });

  it("draws a history from nought, ending now", () => {
    expect(historyPath([0, 5, 10], 59, 20)).toBe("M57.0 20.0L58.0 10.0L59.0 0.0");
    expect(historyPath([7, 7], 59, 20), "what is steady is a line").toBe("M58.0 0.0L59.0 0.0");
    expect([historyPath([], 59, 20), historyPath([0, 0], 59, 20)]).toEqual(["", ""]);
  });
});

function partition(number: number, held = true, more: Partial<ProcessorPartition> = {}): ProcessorPartition {
  return {
    partition: number,
    held,
    position: "10",
    lagMessages: "0",
    lagSeconds: 0,
    lagChangeMessages: "0",
    watermarkDelaySeconds: 1,
    watermarkDevices: 1,
    lastDevice: "north/P-101",
    stateBytes: "4096",
    steps: [],
    ...more,
  };
}

function processor(process: number, partitions: ProcessorPartition[], silent = false): Processor {
  return {
    name: `processors/h-${process}`,
    state: silent ? "PROCESSOR_STATE_SILENT" : "PROCESSOR_STATE_RUNNING",
    host: "h",
    process,
    processCount: 2,
    version: "1",
    lastHeardTime: new Date(NOW - (silent ? 12_000 : 0)).toISOString(),
    partitions,
  };
}

function flow(processors: Processor[], more: Partial<Flow> = {}): Flow {
  const running = processors.filter((p) => p.state !== "PROCESSOR_STATE_SILENT");
  return {
    steps: STEPS,
    processors,
    runningCount: running.length,
    expectedCount: 2,
    heldPartitionCount: 2,
    partitionCount: 2,
    lagMessages: "0",
    lagSeconds: 0,
    ...more,
  };
}

const told = (of: Flow): string[] => troublesOf(of, NOW).map((t) => plain(t.text));
const HEALTHY = [processor(0, [partition(0)]), processor(1, [partition(1)])];

describe("troubles", () => {
  it("says nothing of a flow that keeps up, or of none", () => {
    expect(told(flow(HEALTHY))).toEqual([]);
    expect(told(flow([]))).toEqual([]);
  });

  it("tells who is silent and what nobody takes", () => {
    const killed = flow([HEALTHY[0]!, processor(1, [partition(1)], true)]);
    expect(told(killed)).toEqual([
      "Process 1 on h has said nothing for 12 s.",
      "Partition 1 is taken by nobody; the log keeps what comes.",
    ]);
    expect(isStale(killed)).toBe(false);
    const dead = flow([processor(0, [partition(0)], true)]);
    expect([isStale(dead), told(dead)]).toEqual([true, ["Process 0 on h has said nothing for 12 s."]]);
  });

  it("tells a partition that falls behind, not one whose lag comes and goes", () => {
    const lag = (messages: number, change: number, waited: number): ProcessorPartition =>
      partition(0, true, {
        lagMessages: String(messages),
        lagChangeMessages: String(change),
        lagSeconds: waited,
      });
    expect(fallsBehind(lag(2000, 900, 20))).toBe(true);
    expect(fallsBehind(lag(2000, -900, 20)), "it catches up").toBe(false);
    expect(fallsBehind(lag(20, 20, 0.4)), "it has just come").toBe(false);
    expect(fallsBehind(lag(20_000, 50, 20)), "it stands still").toBe(false);
    expect(told(flow([processor(0, [lag(2000, 900, 20)]), HEALTHY[1]!]))).toEqual([
      "Partition 0 falls behind: 2 000 messages wait, 900 more than half a minute ago.",
    ]);
  });

  it("tells what is too busy, and dead letters by their step, the worst first", () => {
    const busy = processor(0, [partition(0, true, { busyShare: 0.96 })]);
    const steps = [node("acquisition", [], { recentDeadLetters: "3" })];
    const found = flow([busy], { steps, expectedCount: 2 });
    expect(told(found)).toEqual([
      "1 of 2 processes run.",
      "Partition 1 is taken by nobody; the log keeps what comes.",
      "Partition 0 has no room for more: its steps work 96 % of the time.",
      "Acquisition set 3 messages aside in the last five minutes.",
    ]);
  });
});

describe("partitions", () => {
  it("shows who holds each and who waits; a silent holder gives way to one that speaks", () => {
    const spare = processor(0, [partition(0, false)]);
    const [first, second] = partitionsOf(flow([HEALTHY[0]!, spare]));
    expect([first!.holder, first!.waiting]).toEqual([HEALTHY[0], [spare]]);
    expect([second!.holder, second!.held]).toEqual([undefined, undefined]);
    const successor = processor(0, [partition(0)]);
    const silent = processor(0, [partition(0)], true);
    expect(partitionsOf(flow([silent, successor]))[0]!.holder).toBe(successor);
    expect(partitionsOf(flow([silent]))[0]!.holder).toBe(silent);
  });
});
