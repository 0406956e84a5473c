import type { ComponentChildren } from "preact";
import { SeverityMark } from "../../components/marks";
import type { RolloutState, Severity } from "../../contracts";
import { type Concern, type Subject, worstOf } from "../../fleet/concerns";
import { HEARTBEAT_SEVERITY, HEARTBEAT_WORDS, type Heartbeat } from "../../fleet/heartbeat";
import { word } from "../../words";

/** The state of a gateway: quiet when it is heard, with a mark when it is not. */
export function HeartbeatText({ heartbeat }: { heartbeat: Heartbeat }) {
  const severity = HEARTBEAT_SEVERITY[heartbeat];
  return (
    <span class="with-mark">
      <SeverityMark severity={severity} />
      <span class={severity === "SEVERITY_UNSPECIFIED" ? "" : "strong"}>{HEARTBEAT_WORDS[heartbeat]}</span>
    </span>
  );
}

interface WatchedProps {
  concerns: readonly Concern[];
  of: Subject;
  children: ComponentChildren;
}

/** A value, with a mark and its reason when it is worth a look. */
export function Watched({ concerns, of, children }: WatchedProps) {
  const severity = worstOf(concerns, of);
  if (severity === "SEVERITY_UNSPECIFIED") return <>{children}</>;
  const texts = concerns.filter((c) => c.of === of).map((c) => c.text);
  return (
    <span class="with-mark watched" title={texts.join("\n")}>
      <SeverityMark severity={severity} />
      <span class="strong">{children}</span>
    </span>
  );
}

const ROLLOUT_SEVERITY: Partial<Record<RolloutState, Severity>> = {
  ROLLOUT_STATE_HALTED: "SEVERITY_HIGH",
  ROLLOUT_STATE_REVERTED: "SEVERITY_MEDIUM",
};

/** The state of a rollout; one that its health rule stopped has a mark. */
export function RolloutStateText({ state }: { state: RolloutState }) {
  const severity = ROLLOUT_SEVERITY[state] ?? "SEVERITY_UNSPECIFIED";
  return (
    <span class="with-mark">
      <SeverityMark severity={severity} />
      <span class={severity === "SEVERITY_HIGH" ? "pill strong" : "pill"}>
        {word(state, "ROLLOUT_STATE_")}
      </span>
    </span>
  );
}
