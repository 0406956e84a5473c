import type { Rollout, RolloutGateway } from "../contracts";

/** How far a gateway is in a rollout, the best first. */
export const PROGRESS = [
  "well",
  "running",
  "trial",
  "asked",
  "waiting",
  "reverted",
  "refused",
  "bad",
] as const;

export type Progress = (typeof PROGRESS)[number];

export const PROGRESS_WORDS: Readonly<Record<Progress, string>> = {
  well: "Well",
  running: "Running",
  trial: "On trial",
  asked: "Asked",
  waiting: "Waiting",
  reverted: "Taken back",
  refused: "Refused",
  bad: "Bad",
};

/** A gateway that says something this page has not heard of waits. */
export const progressOf = (state: string): Progress => PROGRESS.find((known) => known === state) ?? "waiting";

export type Phase = "done" | "now" | "stopped" | "to come";

export interface Stage {
  percent: number;
  phase: Phase;
  /** Gateways that this stage adds to those before it; 0 when they are not known. */
  count: number;
  byProgress: Readonly<Record<Progress, number>>;
}

function phaseOf({ state, stage }: Pick<Rollout, "state" | "stage">, index: number): Phase {
  if (state === "ROLLOUT_STATE_PLANNED") return "to come";
  if (state === "ROLLOUT_STATE_COMPLETED" || index < stage) return "done";
  if (index > stage) return "to come";
  return state === "ROLLOUT_STATE_ROLLING" ? "now" : "stopped";
}

const none = (): Record<Progress, number> =>
  Object.fromEntries(PROGRESS.map((p) => [p, 0])) as Record<Progress, number>;

/** Return the stages of a rollout with the gateways that each adds. */
export function stagesOf(
  rollout: Pick<Rollout, "state" | "stage" | "stages">,
  gateways: readonly Pick<RolloutGateway, "stage" | "state">[] = [],
): Stage[] {
  return rollout.stages.map((percent, index) => {
    const mine = gateways.filter((g) => g.stage === index);
    const byProgress = none();
    for (const { state } of mine) byProgress[progressOf(state)] += 1;
    return { percent, phase: phaseOf(rollout, index), count: mine.length, byProgress };
  });
}

/** Return the parts of a stage's bar that are not empty; their shares add up to 1. */
export function sharesOf(stage: Stage): { progress: Progress; count: number; share: number }[] {
  return PROGRESS.filter((p) => stage.byProgress[p] > 0).map((progress) => ({
    progress,
    count: stage.byProgress[progress],
    share: stage.byProgress[progress] / stage.count,
  }));
}

/** Return how much of a stage is done, 0 to 1, when only the rollout's own count is known. */
export function fillOf(rollout: Rollout, index: number): number {
  const phase = phaseOf(rollout, index);
  if (phase === "done") return 1;
  if (phase === "to come") return 0;
  const { wellCount = 0, gatewayCount = 0 } = rollout.progress ?? {};
  return gatewayCount > 0 ? wellCount / gatewayCount : 0;
}
