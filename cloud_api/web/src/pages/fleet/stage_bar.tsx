import { SeverityMark } from "../../components/marks";
import type { Rollout } from "../../contracts";
import { fillOf, PROGRESS_WORDS, type Progress, sharesOf, type Stage, stagesOf } from "../../fleet/stages";

const PHASES: Readonly<Record<Stage["phase"], string>> = {
  done: "done",
  now: "under way",
  stopped: "stopped",
  "to come": "to come",
};

const isBad = (progress: Progress): boolean => progress === "bad" || progress === "refused";

function titleOf(rollout: Rollout, { percent, phase }: Stage): string {
  const { wellCount = 0, gatewayCount = 0 } = rollout.progress ?? {};
  const counts = phase === "now" || phase === "stopped" ? `, ${wellCount} of ${gatewayCount} well` : "";
  return `${percent} %: ${PHASES[phase]}${counts}`;
}

/** The stages of a rollout as a line of a list has room for. */
export function StageBar({ rollout }: { rollout: Rollout }) {
  const stages = stagesOf(rollout);
  const text = stages.map((s) => `${s.percent} % ${PHASES[s.phase]}`).join(", ");
  return (
    <span class="stage-bar" role="img" aria-label={`Stages: ${text}`}>
      {stages.map((s, i) => (
        <span key={s.percent} class="stage-step" title={titleOf(rollout, s)}>
          <span class={`stage-track stage-${s.phase.replace(" ", "-")}`}>
            <span class="stage-fill" style={{ width: `${fillOf(rollout, i) * 100}%` }} />
          </span>
          <span class={s.phase === "now" || s.phase === "stopped" ? "small num strong" : "small num quiet"}>
            {s.percent}&#8239;%
          </span>
        </span>
      ))}
    </span>
  );
}

/** The stages with the gateways that each adds, by how far they are. */
export function StageCards({ stages, planned }: { stages: readonly Stage[]; planned: boolean }) {
  return (
    <ol class="stage-cards">
      {stages.map((stage, i) => (
        <li
          key={stage.percent}
          class={`stage-card stage-${stage.phase.replace(" ", "-")}`}
          aria-current={stage.phase === "now" ? "step" : undefined}
        >
          <p class="stage-head">
            <strong class="num">{stage.percent}&#8239;%</strong>
            <span class="quiet">
              Stage {i + 1}, {PHASES[stage.phase]}
            </span>
          </p>
          <span class="stage-parts" aria-hidden="true">
            {sharesOf(stage).map(({ progress, share }) => (
              <span key={progress} class={`part part-${progress}`} style={{ width: `${share * 100}%` }} />
            ))}
          </span>
          <p class="stage-counts num">
            {sharesOf(stage).map(({ progress, count }) => (
              <span key={progress} class="with-mark">
                {isBad(progress) && <SeverityMark severity="SEVERITY_HIGH" />}
                <span class={isBad(progress) ? "strong" : ""}>
                  {count} {PROGRESS_WORDS[progress].toLowerCase()}
                </span>
              </span>
            ))}
            {stage.count === 0 && (
              <span class="quiet">{planned ? "chosen at its start" : "adds no gateway"}</span>
            )}
          </p>
        </li>
      ))}
    </ol>
  );
}
