import { describe, expect, it } from "vitest";
import type {
  Command,
  Gateway,
  GatewayReport,
  Release,
  Rollout,
  RolloutGateway,
  WriteLimit,
} from "../src/contracts";
import { concernsOf, worstOf } from "../src/fleet/concerns";
import { enrolCommand } from "../src/fleet/enrolment";
import { durationMs, factor, limitsOf, measuresOf } from "../src/fleet/health";
import { heartbeatOf, readEvery } from "../src/fleet/heartbeat";
import { parseStages, planOf, versionBefore } from "../src/fleet/plan";
import { fillOf, progressOf, sharesOf, stagesOf } from "../src/fleet/stages";
import { limitText, parseValue, titleOf, valueBefore, valueText } from "../src/fleet/writes";
import { bytes, signedSeconds } from "../src/format";
import { covers } from "../src/permission";

const plain = (text: string): string => text.replaceAll("\u202f", " ");
const NOW = Date.parse("2026-05-01T12:00:00Z");
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

const REPORT: GatewayReport = {
  site: "plant",
  edgeNode: "e1",
  bootEpoch: "1",
  reportIntervalS: 60,
  group: "default",
  agentVersion: "0.1.0",
  pythonVersion: "3.11.9",
  operatingSystem: "Debian",
  runtimeVersion: "ai-edge-litert 2.0.3",
  uptimeS: 60,
  clockSource: "ntp",
  diskFreeBytes: "8000",
  diskBytes: "10000",
  spoolBatches: "0",
  spoolBytes: "0",
  spoolMaxBytes: "1000",
  spoolDropped: "0",
  models: [],
  configurations: [],
  certificateSerial: "",
  lastError: "",
  logLevel: "info",
};

const gateway = (report: Partial<GatewayReport> = {}, more: Partial<Gateway> = {}): Gateway => ({
  name: "gateways/plant~e1",
  site: "plant",
  edgeNode: "e1",
  group: "default",
  state: "GATEWAY_STATE_ENROLLED",
  connection: "CONNECTION_ONLINE",
  lastSeenTime: ago(1),
  report: { ...REPORT, ...report },
  certificateSerial: "",
  revokeReason: "",
  etag: "",
  ...more,
});

const model = (
  version: string,
  more: Partial<GatewayReport["models"][number]> = {},
): GatewayReport["models"][number] => ({
  equipmentClass: "fan",
  name: "fan",
  version,
  sha256: "",
  state: "INSTALLATION_STATE_RUNNING",
  rollout: "",
  reason: "",
  windows: "100",
  crashes: 0,
  ...more,
});

describe("a gateway's heartbeat", () => {
  const heard = (seconds: number, interval = 60): string =>
    heartbeatOf(gateway({ reportIntervalS: interval }, { lastSeenTime: ago(seconds) }), NOW);

  it("is late after two intervals and offline after three, as for the server", () => {
    expect([1, 60, 120, 121, 180, 181].map((s) => heard(s))).toEqual([
      "online",
      "online",
      "online",
      "late",
      "late",
      "offline",
    ]);
    expect([10, 21, 31].map((s) => heard(s, 10))).toEqual(["online", "late", "offline"]);
  });

  it("takes a minute for a gateway that does not say, and no less than what a page reads", () => {
    expect([heard(100, 0), heard(200, 0)]).toEqual(["online", "offline"]);
    expect([heard(9, 1), heard(16, 1)]).toEqual(["online", "offline"]);
  });

  it("tells who was never heard from who may not speak", () => {
    expect(heartbeatOf(gateway({}, { lastSeenTime: undefined }), NOW)).toBe("never");
    expect(heartbeatOf(gateway({}, { state: "GATEWAY_STATE_REVOKED", lastSeenTime: ago(9999) }), NOW)).toBe(
      "revoked",
    );
  });

  it("is read again often enough for the shortest interval", () => {
    expect(readEvery([], NOW)).toBe(15_000);
    expect(readEvery([gateway({ reportIntervalS: 60 })], NOW)).toBe(15_000);
    expect(readEvery([gateway({ reportIntervalS: 60 }), gateway({ reportIntervalS: 10 })], NOW)).toBe(5_000);
    expect(readEvery([gateway({ reportIntervalS: 1 })], NOW)).toBe(2_500);
  });

  it("is awaited for an hour after the enrolment", () => {
    const enrolled = (seconds: number): number =>
      readEvery([gateway({}, { lastSeenTime: undefined, enrolTime: ago(seconds) })], NOW);
    expect([enrolled(60), enrolled(3601)]).toEqual([2_000, 15_000]);
  });
});

describe("what of a gateway asks for a person", () => {
  const of = (report: Partial<GatewayReport>, more: Partial<Gateway> = {}): [string, string][] =>
    concernsOf(gateway(report, more), NOW).map((c) => [c.of, c.severity.slice("SEVERITY_".length)]);

  it("is nothing while it is well", () => {
    expect(
      of({ clockOffsetMs: -1999, temperatureDegC: 74, diskFreeBytes: "1001", spoolBytes: "499" }),
    ).toEqual([]);
  });

  it("is what is beyond a limit, the urgent first", () => {
    expect(
      of({ clockOffsetMs: -2000, temperatureDegC: 85, diskFreeBytes: "1000", spoolBytes: "900" }),
    ).toEqual([
      ["temperature", "HIGH"],
      ["spool", "HIGH"],
      ["clock", "MEDIUM"],
      ["disk", "MEDIUM"],
    ]);
    expect(of({ clockOffsetMs: 60_000, diskFreeBytes: "500", spoolDropped: "1" })).toEqual([
      ["clock", "HIGH"],
      ["disk", "HIGH"],
      ["dropped", "MEDIUM"],
    ]);
  });

  it("is a certificate that was not renewed in time", () => {
    const ends = (days: number): [string, string][] => of({}, { certificateExpireTime: ago(-days * 86_400) });
    expect(ends(9)).toEqual([]);
    expect(ends(8)).toEqual([["certificate", "MEDIUM"]]);
    expect(ends(2)).toEqual([["certificate", "HIGH"]]);
    expect(ends(-1)).toEqual([["certificate", "CRITICAL"]]);
  });

  it("is its silence, and what it refused with its reason", () => {
    expect(of({}, { lastSeenTime: ago(200) })).toEqual([["heartbeat", "HIGH"]]);
    const refused = model("2", { state: "INSTALLATION_STATE_REVERTED", reason: "too slow" });
    const [concern] = concernsOf(gateway({ models: [refused] }), NOW);
    expect(concern?.text).toBe("Refused fan 2: too slow");
    expect(worstOf([concern!])).toBe("SEVERITY_MEDIUM");
    expect(worstOf([concern!], "disk")).toBe("SEVERITY_UNSPECIFIED");
  });

  it("is nothing of a gateway that was revoked", () => {
    expect(of({ temperatureDegC: 99 }, { state: "GATEWAY_STATE_REVOKED" })).toEqual([]);
  });
});

const rollout = (more: Partial<Rollout> = {}): Rollout => ({
  name: "rollouts/1",
  site: "plant",
  kind: "RELEASE_KIND_MODEL",
  subject: "fan",
  version: "2",
  previousVersion: "1",
  groups: ["default"],
  stages: [1, 10, 100],
  state: "ROLLOUT_STATE_ROLLING",
  stage: 1,
  percent: 10,
  reason: "",
  history: [],
  etag: "",
  ...more,
});

const taken = (state: string, stage: number, more: Partial<RolloutGateway> = {}): RolloutGateway => ({
  gateway: "gateways/plant~e1",
  edgeNode: "e1",
  group: "default",
  place: 0,
  stage,
  state,
  version: "",
  reason: "",
  ...more,
});

describe("the stages of a rollout", () => {
  const phases = (more: Partial<Rollout>): string[] => stagesOf(rollout(more)).map((s) => s.phase);

  it("are done, under way, stopped or to come", () => {
    expect(phases({ state: "ROLLOUT_STATE_PLANNED", stage: 0 })).toEqual(["to come", "to come", "to come"]);
    expect(phases({})).toEqual(["done", "now", "to come"]);
    expect(phases({ state: "ROLLOUT_STATE_HALTED" })).toEqual(["done", "stopped", "to come"]);
    expect(phases({ state: "ROLLOUT_STATE_COMPLETED", stage: 2 })).toEqual(["done", "done", "done"]);
  });

  it("count the gateways that each adds, in shares of one", () => {
    const [first, second, third] = stagesOf(rollout(), [
      taken("well", 0),
      taken("well", 1),
      taken("bad", 1),
      taken("trial", 1),
      taken("something new", 1),
    ]);
    expect([first!.count, second!.count, third!.count]).toEqual([1, 4, 0]);
    expect(sharesOf(second!)).toEqual([
      { progress: "well", count: 1, share: 0.25 },
      { progress: "trial", count: 1, share: 0.25 },
      { progress: "waiting", count: 1, share: 0.25 },
      { progress: "bad", count: 1, share: 0.25 },
    ]);
    expect(sharesOf(third!)).toEqual([]);
    expect(progressOf("something new")).toBe("waiting");
  });

  it("fill by what is well when single gateways are not known", () => {
    const progress = {
      gatewayCount: 4,
      runningCount: 3,
      wellCount: 1,
      trialCount: 0,
      refusedCount: 0,
      badCount: 0,
      totalCount: 40,
    };
    expect([0, 1, 2].map((i) => fillOf(rollout({ progress }), i))).toEqual([1, 0.25, 0]);
    expect(fillOf(rollout(), 1)).toBe(0);
  });
});

describe("the health of a stage", () => {
  it("has the contract's usual limits", () => {
    expect(limitsOf(undefined)).toEqual({
      soakMs: 3_600_000,
      leastShare: 0.9,
      latencyRatio: 2,
      scoreRatio: 3,
      crashes: 0,
      badShare: 0,
      silenceMs: 900_000,
      revert: true,
    });
    expect(limitsOf({ soakTime: "90.5s", revert: false })).toMatchObject({ soakMs: 90_500, revert: false });
    expect([durationMs(undefined, 7), durationMs("no", 7)]).toEqual([7, 7]);
  });

  it("sets each measure beside its limit", () => {
    const progress = {
      gatewayCount: 1,
      runningCount: 0,
      wellCount: 0,
      trialCount: 0,
      refusedCount: 0,
      badCount: 1,
      totalCount: 4,
    };
    const seen = gateway({
      models: [
        model("1", { latencyP99Us: 100, scoreP50: 0.2 }),
        model("2", { state: "INSTALLATION_STATE_TRIAL", latencyP99Us: 250, scoreP50: 0.1, crashes: 2 }),
      ],
    });
    const mine = taken("bad", 0, { version: "2", lastSeenTime: ago(60) });
    const measures = measuresOf(rollout({ progress }), [mine], [seen], NOW);
    expect(measures.map((m) => [m.name, plain(m.measured), plain(m.limit), m.bad])).toEqual([
      ["Well for 1\u202fh", "0 of 1", "at least 90 %", false],
      ["Bad or refused", "1 of 1", "at most 0 %", true],
      ["Longest silence", "1 min", "at most 15 min", false],
      ["Slowest inference (p99)", "250.0 µs, 2.5 × before", "at most 2 × before", true],
      ["Median score", "0.100, 2.0 × before", "within a factor of 3", false],
      ["Most crashes", "2", "at most 0", true],
    ]);
    expect(measuresOf(rollout({ kind: "RELEASE_KIND_CONFIGURATION" }), [], [], NOW)).toHaveLength(3);
  });

  it("knows no factor of what is not known", () => {
    expect([factor(2, 4), factor(4, 2), factor(1, undefined), factor(NaN, 1)]).toEqual([2, 2, NaN, NaN]);
  });
});

const release = (version: string): Release => ({
  name: `releases/model~fan~${version}`,
  kind: "RELEASE_KIND_MODEL",
  subject: "fan",
  version,
  sha256: "",
  sizeBytes: "0",
  publisher: "users/jo",
});

describe("a plan", () => {
  it("goes back to what most gateways run, when that was published", () => {
    const runs = (version: string): Gateway => gateway({ models: [model(version)] });
    const releases = ["1", "2", "3"].map(release);
    expect(
      versionBefore(releases[2]!, releases, [runs("2"), runs("1"), runs("1"), runs("3"), runs("3")]),
    ).toBe("1");
    expect(versionBefore(releases[2]!, releases, [runs("shipped")])).toBe("");
    expect(versionBefore(releases[2]!, releases, [])).toBe("");
  });

  it("is read from what a person writes", () => {
    const texts = {
      site: " plant ",
      groups: "canary, default",
      stages: "1 %, 10; 100",
      soakTime: "1,5",
      latencyRatio: "",
    };
    expect(planOf(release("2"), texts)).toMatchObject({
      site: "plant",
      version: "2",
      groups: ["canary", "default"],
      stages: [1, 10, 100],
      healthRule: { soakTime: "90s", latencyRatio: undefined, revert: true },
    });
    expect(() => parseStages("1, ten")).toThrow("“ten” is no number");
    expect(() => planOf(release("2"), { ...texts, crashes: "-1" })).toThrow("Crashes: “-1”");
  });
});

const command = (more: Partial<Command>): Command => ({
  name: "commands/1",
  site: "plant",
  gateway: "gateways/plant~e1",
  device: "P-101",
  metric: "Speed",
  reason: "",
  state: "COMMAND_STATE_PROPOSED",
  proposer: "users/jo",
  confirmer: "",
  outcomeReason: "",
  createTime: ago(0),
  etag: "",
  ...more,
});

const limit = (more: Partial<WriteLimit>): WriteLimit => ({
  name: "writeLimits/1",
  site: "plant",
  device: "P-101",
  metric: "Speed",
  unit: "",
  secondPerson: false,
  ...more,
});

describe("a write", () => {
  it("is told with its value and unit", () => {
    expect(plain(valueText({ number: 1350.1 }, "rpm"))).toBe("1350.1 rpm");
    expect([valueText({ boolean: false }), valueText({ text: "auto" }), valueText(undefined)]).toEqual([
      "off",
      "“auto”",
      "–",
    ]);
    expect(valueText({ number: 0 })).toBe("0");
    expect(titleOf(command({}))).toBe("P-101 Speed");
    expect(titleOf(command({ device: "", metric: "Node Control/Log Level", value: { text: "debug" } }))).toBe(
      "Log level: debug",
    );
  });

  it("has the value that the last write before it left", () => {
    const done = (name: string, seconds: number, more: Partial<Command>): Command =>
      command({ name, state: "COMMAND_STATE_DONE", createTime: ago(seconds), ...more });
    const all = [
      done("a", 50, { value: { number: 1 } }),
      done("b", 40, { value: { number: 2 }, outcomeValue: { number: 1.9 } }),
      done("c", 30, { value: { number: 3 }, state: "COMMAND_STATE_REFUSED" }),
      done("d", 20, { value: { number: 4 }, metric: "Flow" }),
      done("e", -5, { value: { number: 5 } }),
    ];
    expect(valueBefore(command({ name: "now" }), all)).toEqual({ number: 1.9 });
    expect(valueBefore(all[0]!, all)).toBeUndefined();
  });

  it("is read as its limit wants it", () => {
    expect(plain(limitText(limit({ minimum: 0, maximum: 100, unit: "%" })))).toBe("0 to 100 %");
    expect(plain(limitText(limit({ maximum: 5 })))).toBe("at most 5");
    expect(parseValue(" 12,5 ", limit({ minimum: 0 }))).toEqual({ number: 12.5 });
    expect(parseValue("much", limit({ minimum: 0 }))).toBeUndefined();
    expect(parseValue("on", limit({}))).toEqual({ boolean: true });
    expect(parseValue("auto", limit({}))).toEqual({ text: "auto" });
    expect(parseValue("", limit({}))).toBeUndefined();
  });
});

describe("what an engineer reads", () => {
  it("has sizes and clocks in units that fit", () => {
    expect([0, 1023, 1536, 50 * 2 ** 20, 200 * 2 ** 30, NaN].map((v) => plain(bytes(v)))).toEqual([
      "0 B",
      "1023 B",
      "1.5 KiB",
      "50.0 MiB",
      "200 GiB",
      "–",
    ]);
    expect([0.001, 0.12, -3, 95, -7200].map((v) => plain(signedSeconds(v)))).toEqual([
      "0.00 s",
      "+0.12 s",
      "−3.00 s",
      "+95 s",
      "−2 h",
    ]);
  });

  it("is the command that enrols", () => {
    expect(enrolCommand("https://plant.example", "hre_x")).toBe(
      "headrace edge enrol gateway.toml --server https://plant.example --token hre_x",
    );
  });

  it("is what a person's scopes cover, as the server matches them", () => {
    expect(covers("*", "fleet.gateway.write")).toBe(true);
    expect(covers("fleet.*.read", "fleet.gateway.read")).toBe(true);
    expect(covers("fleet.*.read", "fleet.gateway.write")).toBe(false);
    expect(covers("fleet.*", "fleet.gateway.write")).toBe(true);
    expect(covers("fleet", "fleet.gateway.write")).toBe(false);
    expect(covers("fleet.gateway.write.more", "fleet.gateway.write")).toBe(false);
  });
});
