import { describe, expect, it } from "vitest";
import type { Alarm, FeatureEvidence, Ticket } from "../src/contracts";
import { expectation, overlayOf, shownEvidence } from "../src/evidence";

const feature = (channel: string, name: string, rest: Partial<FeatureEvidence> = {}): FeatureEvidence => ({
  channel,
  feature: name,
  unit: "bar",
  value: 5,
  baseline: 4,
  limit: 4.6,
  score: 5,
  ...rest,
});

describe("what evidence is shown by", () => {
  const series = [{ name: "Pressure" }, { name: "Vibration/rms" }, { name: "Flow" }];

  it("is its own series, a channel for its mean, or the channel without the limits", () => {
    const shown = shownEvidence(
      [feature("Vibration", "rms"), feature("Pressure", "mean"), feature("Flow", "longest_run")],
      series,
      3,
    );
    expect(shown.map((s) => [s.series.name, s.comparable])).toEqual([
      ["Vibration/rms", true],
      ["Pressure", true],
      ["Flow", false],
    ]);
  });

  it("is each series once, and nothing where there is none", () => {
    const features = [
      feature("Pressure", "mean"),
      feature("Pressure", "spike_share"),
      feature("Level", "mean"),
    ];
    expect(shownEvidence(features, series, 5).map((s) => s.series.name)).toEqual(["Pressure"]);
  });
});

describe("what was expected", () => {
  it("is one standard deviation about the baseline, and the limit", () => {
    const { limits, baseline } = expectation(feature("Pressure", "mean"));
    expect(limits).toEqual([{ label: "Alarm limit", value: 4.6 }]);
    expect(baseline?.from).toBeCloseTo(3.8);
    expect(baseline?.to).toBeCloseTo(4.2);
  });
});

describe("what happened", () => {
  const alarm = {
    name: "alarms/1",
    ticket: "tickets/1",
    state: "ALARM_STATE_ACKNOWLEDGED",
    severity: "SEVERITY_HIGH",
    raiseTime: "2026-01-01T00:00:00Z",
    advisory: { evidence: { features: [feature("Flow", "mean")] } },
  } as unknown as Alarm;
  const ticket = { name: "tickets/1", number: "WO-000001" } as Ticket;
  const raised = Date.parse("2026-01-01T00:00:00Z");

  it("spans from the alarm to its end, or to now", () => {
    expect(overlayOf("Flow", [alarm], [ticket], raised + 500).spans).toEqual([
      { from: raised, to: raised + 500, tone: "high" },
    ]);
    const cleared = { ...alarm, clearTime: "2026-01-01T00:01:00Z" };
    expect(overlayOf("Flow", [cleared], [ticket], raised + 1e9).spans?.[0]?.to).toBe(raised + 60_000);
  });

  it("tints only what the alarm was read from, and what speaks of the whole machine", () => {
    const tinted = ["Flow", "health", "score", "Pressure"].filter(
      (s) => overlayOf(s, [alarm], [], raised).spans?.length,
    );
    expect(tinted).toEqual(["Flow", "health", "score"]);
  });

  it("flags the alarm with its ticket", () => {
    expect(overlayOf("Flow", [alarm], [ticket], raised).flags).toEqual([
      { at: raised, label: "Alarm, WO-000001 opened", tone: "high" },
    ]);
  });

  it("leaves a shelved alarm without a tint", () => {
    expect(overlayOf("Flow", [{ ...alarm, state: "ALARM_STATE_SHELVED" }], [], raised).spans).toEqual([]);
  });
});
