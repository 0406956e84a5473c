import {
  advanceRollout,
  cancelWrite,
  checkGatewayUpdates,
  type Command,
  type CommandState,
  confirmWrite,
  type EnrolmentToken,
  type Gateway,
  type GatewayState,
  pauseRollout,
  rebirthGateway,
  restartGateway,
  resumeRollout,
  revertRollout,
  revokeEnrolmentToken,
  revokeGateway,
  type Rollout,
  type RolloutState,
  setGatewayLogLevel,
  startRollout,
  type WriteLimit,
} from "../contracts";
import type { Action, Field } from "../lifecycle";
import { session } from "../session";
import { limitOf, titleOf, valueText } from "./writes";

const reason: Field = { name: "reason", label: "Reason", kind: "text", required: true };
const why: Field = { ...reason, required: false };

const TOLD: readonly GatewayState[] = ["GATEWAY_STATE_ENROLLED", "GATEWAY_STATE_UNENROLLED"];

/** What an agent can be told, and the end of its membership. */
export const GATEWAY_ACTIONS: readonly Action<Gateway, GatewayState>[] = [
  {
    label: "Check updates",
    done: "told to look for updates",
    from: TOLD,
    fields: [],
    scope: checkGatewayUpdates.scope,
    consequence: (g) =>
      `${g.edgeNode} looks for a new model or configuration at once instead of at its next check. Sampling goes on.`,
    run: async (g) => {
      await checkGatewayUpdates({ name: g.name });
      return g;
    },
  },
  {
    label: "Log level",
    done: "told its log level",
    from: TOLD,
    fields: [
      {
        name: "level",
        label: "Level",
        kind: "choice",
        required: true,
        choices: ["debug", "info", "warning", "error"].map((value) => ({ value, label: value })),
      },
      why,
    ],
    scope: setGatewayLogLevel.scope,
    consequence: (g) =>
      `${g.edgeNode} logs from this level on, and goes back by itself after a while (15 min unless its file says otherwise).`,
    run: async (g, v) => {
      await setGatewayLogLevel({ name: g.name, level: v["level"], reason: v["reason"] });
      return g;
    },
  },
  {
    label: "Rebirth",
    done: "asked for its births",
    from: TOLD,
    fields: [],
    scope: rebirthGateway.scope,
    consequence: (g) =>
      `${g.edgeNode} sends the births of all its devices again. Nothing is lost; its traffic rises for a moment.`,
    run: async (g) => {
      await rebirthGateway({ name: g.name });
      return g;
    },
  },
  {
    label: "Restart",
    done: "told to restart",
    from: TOLD,
    fields: [why],
    scope: restartGateway.scope,
    consequence: (g) =>
      `The agent on ${g.edgeNode} ends in good order and is started again by its service. For some seconds its devices are not sampled; what waits in its spool stays.`,
    run: async (g, v) => {
      await restartGateway({ name: g.name, reason: v["reason"] });
      return g;
    },
  },
  {
    label: "Revoke",
    done: "revoked",
    from: TOLD,
    fields: [reason],
    final: true,
    scope: revokeGateway.scope,
    consequence: (g) =>
      `The broker refuses ${g.edgeNode} from now on. It keeps its readings up to the cap of its spool, and only a new enrolment lets it back in.`,
    run: (g, v) => revokeGateway({ name: g.name, etag: g.etag, reason: v["reason"] }),
  },
];

const base = ({ name, etag }: { name: string; etag: string }): { name: string; etag: string } => ({
  name,
  etag,
});

const inStage = (r: Rollout): string => {
  const count = r.progress?.gatewayCount ?? 0;
  return `${count} ${count === 1 ? "gateway" : "gateways"}`;
};

const whatOf = (r: Rollout): string => `${r.subject} ${r.version}`;

/** The steps of a rollout, in the order of its life. */
export const ROLLOUT_ACTIONS: readonly Action<Rollout, RolloutState>[] = [
  {
    label: "Start",
    done: "started",
    from: ["ROLLOUT_STATE_PLANNED"],
    fields: [],
    primary: true,
    scope: startRollout.scope,
    consequence: (r) =>
      `The first ${r.stages[0] ?? 1} % of the gateways (at least one) of ${r.site} take ${whatOf(r)} now. The next stage follows once these were well for the soak time.`,
    run: (r) => startRollout(base(r)),
  },
  {
    label: "Resume",
    done: "resumed",
    from: ["ROLLOUT_STATE_PAUSED", "ROLLOUT_STATE_HALTED"],
    fields: [why],
    primary: true,
    scope: resumeRollout.scope,
    consequence: (r) =>
      r.state === "ROLLOUT_STATE_HALTED"
        ? `It was halted: ${r.reason} If nothing has changed it will halt again.`
        : `Gateways of this stage take ${whatOf(r)} again, and the stage's soak time begins anew.`,
    run: (r, v) => resumeRollout({ ...base(r), reason: v["reason"] }),
  },
  {
    label: "Pause",
    done: "paused",
    from: ["ROLLOUT_STATE_ROLLING"],
    fields: [why],
    scope: pauseRollout.scope,
    consequence: (r) =>
      `No further gateway takes ${whatOf(r)} until it is resumed. Those that have it keep it.`,
    run: (r, v) => pauseRollout({ ...base(r), reason: v["reason"] }),
  },
  {
    label: "Advance",
    done: "advanced",
    from: ["ROLLOUT_STATE_ROLLING"],
    fields: [why],
    only: (r) => r.stage + 1 < r.stages.length,
    scope: advanceRollout.scope,
    consequence: (r) =>
      `The next stage, ${r.stages[r.stage + 1]} % of the gateways, begins without waiting for the soak time; ${r.progress?.wellCount ?? 0} of ${inStage(r)} are well so far.`,
    run: (r, v) => advanceRollout({ ...base(r), reason: v["reason"] }),
  },
  {
    label: "Revert",
    done: "reverted",
    from: [
      "ROLLOUT_STATE_ROLLING",
      "ROLLOUT_STATE_PAUSED",
      "ROLLOUT_STATE_HALTED",
      "ROLLOUT_STATE_COMPLETED",
    ],
    fields: [reason],
    final: true,
    scope: revertRollout.scope,
    consequence: (r) =>
      `Every gateway that has ${whatOf(r)} by this rollout goes back to ${r.previousVersion || "what ships with its agent"}. It cannot be resumed; plan another to try again.`,
    run: (r, v) => revertRollout({ ...base(r), reason: v["reason"] }),
  },
];

/** Return the two ways on of a proposed write; `limits` say which need a second person. */
export function writeActions(
  limits: readonly WriteLimit[],
  before: (command: Command) => string,
): readonly Action<Command, CommandState>[] {
  return [
    {
      label: "Confirm",
      done: "sent",
      from: ["COMMAND_STATE_PROPOSED"],
      fields: [],
      primary: true,
      scope: confirmWrite.scope,
      consequence: (c) => {
        const value = valueText(c.value, limitOf(c, limits)?.unit);
        return `${titleOf(c)} is set ${before(c)}to ${value} on the real device, at once. Reason given: ${c.reason}`;
      },
      blocked: (c) =>
        limitOf(c, limits)?.secondPerson && c.proposer === `users/${session.value?.user}`
          ? "Another person than who proposed it confirms."
          : "",
      run: (c) => confirmWrite({ name: c.name, etag: c.etag }),
    },
    {
      label: "Withdraw",
      done: "withdrawn",
      from: ["COMMAND_STATE_PROPOSED"],
      fields: [],
      scope: cancelWrite.scope,
      run: (c) => cancelWrite({ name: c.name }),
    },
  ];
}

/** What can be done about a token that nobody has used. */
export const TOKEN_ACTIONS: readonly Action<EnrolmentToken, "open">[] = [
  {
    label: "Revoke",
    done: "revoked",
    from: ["open"],
    fields: [],
    final: true,
    scope: revokeEnrolmentToken.scope,
    consequence: (t) =>
      `The token for ${t.edgeNode} enrols nobody any more. Issue another one when it is needed.`,
    run: (t) => revokeEnrolmentToken({ name: t.name }),
  },
];
