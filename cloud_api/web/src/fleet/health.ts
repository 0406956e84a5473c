import type { Gateway, HealthRule, ModelReport, Rollout, RolloutGateway } from "../contracts";
import { duration, number, percent } from "../format";

/** A health rule without gaps; times in milliseconds. */
export interface Limits {
  soakMs: number;
  leastShare: number;
  latencyRatio: number;
  scoreRatio: number;
  crashes: number;
  badShare: number;
  silenceMs: number;
  revert: boolean;
}

/** Return protobuf's JSON of a duration (`3600s`) in milliseconds, or `usual` without one. */
export function durationMs(text: string | undefined, usual: number): number {
  const seconds = Number.parseFloat(text ?? "");
  return Number.isFinite(seconds) ? seconds * 1000 : usual;
}

/** Return what counts, with the contract's usual values where the rule says nothing. */
export function limitsOf(rule: HealthRule | undefined): Limits {
  return {
    soakMs: durationMs(rule?.soakTime, 3_600_000),
    leastShare: rule?.leastShare ?? 0.9,
    latencyRatio: rule?.latencyRatio ?? 2,
    scoreRatio: rule?.scoreRatio ?? 3,
    crashes: rule?.crashes ?? 0,
    badShare: rule?.badShare ?? 0,
    silenceMs: durationMs(rule?.silence, 900_000),
    revert: rule?.revert ?? true,
  };
}

/** What a gateway reports of a rollout's version, and of what it ran beside it. */
export interface Behaviour {
  version: ModelReport | undefined;
  before: ModelReport | undefined;
}

/** Return how a rollout's model does on a gateway; nothing of a configuration. */
export function behaviourOf(
  rollout: Pick<Rollout, "kind" | "subject" | "version">,
  gateway: Gateway,
): Behaviour {
  const models =
    rollout.kind === "RELEASE_KIND_MODEL"
      ? (gateway.report?.models ?? []).filter((m) => m.equipmentClass === rollout.subject)
      : [];
  const others = models.filter((m) => m.version !== rollout.version);
  return {
    version: models.find((m) => m.version === rollout.version),
    before: others.find((m) => m.state === "INSTALLATION_STATE_RUNNING") ?? others[0],
  };
}

/** One measure of a stage beside its limit. */
export interface Measure {
  name: string;
  measured: string;
  limit: string;
  bad: boolean;
}

const finite = (values: readonly (number | undefined)[]): number[] =>
  values.filter((v): v is number => v !== undefined && Number.isFinite(v));

const most = (values: readonly number[]): number => (values.length ? Math.max(...values) : NaN);

/** Return where values lie: one of them, or from the least to the greatest. */
function range(values: readonly number[]): string {
  const [least, greatest] = [number(Math.min(...values)), number(Math.max(...values))];
  return least === greatest ? least : `${least} to ${greatest}`;
}

/** Return by what factor two values differ, 1 or more; NaN when one is not known. */
export function factor(after: number | undefined, before: number | undefined): number {
  if (after === undefined || before === undefined || !(after > 0) || !(before > 0)) return NaN;
  return Math.max(after / before, before / after);
}

/** Return what a rollout is judged by; `taken` are the gateways that its stages took so far. */
export function measuresOf(
  rollout: Rollout,
  taken: readonly RolloutGateway[],
  gateways: readonly Gateway[],
  serverNow: number,
): Measure[] {
  const limits = limitsOf(rollout.healthRule);
  const { gatewayCount = 0, wellCount = 0, badCount = 0, refusedCount = 0 } = rollout.progress ?? {};
  const names = new Set(taken.map((g) => g.gateway));
  const seen = gateways.filter((g) => names.has(g.name)).map((g) => behaviourOf(rollout, g));
  const having = taken.filter((g) => g.version === rollout.version);
  const bad = gatewayCount ? (badCount + refusedCount) / gatewayCount : NaN;
  const slower = most(
    finite(seen.map((b) => (b.version?.latencyP99Us ?? NaN) / (b.before?.latencyP99Us ?? NaN))),
  );
  const slowest = most(finite(seen.map((b) => b.version?.latencyP99Us)));
  const moved = most(finite(seen.map((b) => factor(b.version?.scoreP50, b.before?.scoreP50))));
  const scores = finite(seen.map((b) => b.version?.scoreP50));
  const crashes = most(finite(seen.map((b) => b.version?.crashes)));
  const silence = most(finite(having.map((g) => serverNow - Date.parse(g.lastSeenTime ?? ""))));
  const measures: Measure[] = [
    {
      name: `Well for ${duration(limits.soakMs)}`,
      measured: gatewayCount ? `${wellCount} of ${gatewayCount}` : "–",
      limit: `at least ${percent(limits.leastShare)}`,
      bad: false,
    },
    {
      name: "Bad or refused",
      measured: Number.isFinite(bad) ? `${badCount + refusedCount} of ${gatewayCount}` : "–",
      limit: `at most ${percent(limits.badShare)}`,
      bad: bad > limits.badShare,
    },
    {
      name: "Longest silence",
      measured: Number.isFinite(silence) ? duration(silence) : "–",
      limit: `at most ${duration(limits.silenceMs)}`,
      bad: silence > limits.silenceMs,
    },
  ];
  if (rollout.kind !== "RELEASE_KIND_MODEL") return measures;
  const times = (value: number): string => (Number.isFinite(value) ? `, ${value.toFixed(1)} × before` : "");
  return [
    ...measures,
    {
      name: "Slowest inference (p99)",
      measured: Number.isFinite(slowest) ? `${number(slowest)} µs${times(slower)}` : "–",
      limit: `at most ${limits.latencyRatio} × before`,
      bad: slower > limits.latencyRatio,
    },
    {
      name: "Median score",
      measured: scores.length ? `${range(scores)}${times(moved)}` : "–",
      limit: `within a factor of ${limits.scoreRatio}`,
      bad: moved > limits.scoreRatio,
    },
    {
      name: "Most crashes",
      measured: Number.isFinite(crashes) ? String(crashes) : "–",
      limit: `at most ${limits.crashes}`,
      bad: crashes > limits.crashes,
    },
  ];
}
