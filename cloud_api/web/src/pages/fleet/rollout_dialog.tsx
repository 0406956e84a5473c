import { useLocation } from "preact-iso";
import { ActionDialog } from "../../components/dialog";
import { createRollout, type Gateway, type Release, type Rollout, startRollout } from "../../contracts";
import { planOf, runningOn, versionBefore } from "../../fleet/plan";
import type { Field } from "../../lifecycle";
import { complain, toast } from "../../toast";
import { rolloutAddress } from "./views";

function fieldsOf(
  release: Release,
  releases: readonly Release[],
  sites: readonly string[],
): readonly Field[] {
  const others = releases.filter(
    (r) => r.kind === release.kind && r.subject === release.subject && r.version !== release.version,
  );
  const ships =
    release.kind === "RELEASE_KIND_CONFIGURATION" ? "The local gateway file" : "What the agent ships with";
  const site: Field = sites.length
    ? {
        name: "site",
        label: "Site",
        kind: "choice",
        required: true,
        choices: sites.map((s) => ({ value: s, label: s })),
      }
    : { name: "site", label: "Site", kind: "line", required: true };
  const limit = (name: string, label: string, hint: string): Field => ({
    name,
    label,
    kind: "line",
    required: false,
    hint,
  });
  const model: readonly Field[] = [
    limit("latencyRatio", "Inference time (p99), × before", "Halts when it takes longer."),
    limit("scoreRatio", "Median score, factor to before", "Halts when it moves further, up or down."),
    limit("crashes", "Crashes of a gateway", "Halts when there are more."),
  ];
  return [
    site,
    { name: "groups", label: "Groups", kind: "line", required: true, hint: "Parted by commas." },
    {
      name: "previousVersion",
      label: "On a revert gateways go back to",
      kind: "choice",
      required: false,
      choices: [{ value: "", label: ships }, ...others.map((r) => ({ value: r.version, label: r.version }))],
    },
    { name: "stages", label: "Stages in % of the gateways", kind: "line", required: true },
    {
      name: "soakTime",
      label: "Soak time in minutes",
      kind: "line",
      required: true,
      hint: "How long a gateway must have been well before the next stage.",
    },
    ...(release.kind === "RELEASE_KIND_MODEL" ? model : []),
    {
      name: "revert",
      label: "When it halts",
      kind: "choice",
      required: true,
      choices: [
        { value: "yes", label: "Every gateway goes back" },
        { value: "no", label: "Gateways that have it keep it" },
      ],
    },
    {
      name: "begin",
      label: "Begin",
      kind: "choice",
      required: true,
      choices: [
        { value: "later", label: "Later: only plan it" },
        { value: "now", label: "Now, with the first stage" },
      ],
    },
  ];
}

interface RolloutDialogProps {
  release: Release;
  releases: readonly Release[];
  gateways: readonly Gateway[];
  onClose: () => void;
}

/** Plan a rollout of a release, and start it when that is wanted. */
export function RolloutDialog({ release, releases, gateways, onClose }: RolloutDialogProps) {
  const { route } = useLocation();
  const sites = [...new Set(gateways.map((g) => g.site))].sort();
  const what = `${release.subject.replaceAll("_", " ")} ${release.version}`;
  const having = gateways.filter((g) => runningOn(g, release) === release.version).length;
  return (
    <ActionDialog
      title={`Roll out ${what}`}
      warning={having > 0 && `${having} ${having === 1 ? "gateway has" : "gateways have"} it already.`}
      confirm="Plan"
      wide
      fields={fieldsOf(release, releases, sites)}
      initial={{
        site: sites[0] ?? "",
        groups: "default",
        previousVersion: versionBefore(release, releases, gateways),
        stages: "1, 10, 100",
        soakTime: "60",
        latencyRatio: "2",
        scoreRatio: "3",
        crashes: "0",
        revert: "yes",
        begin: "later",
      }}
      draft={`rollout.${release.name}`}
      onRun={async (values) => {
        const planned = await createRollout({ rollout: planOf(release, values) as Rollout });
        if (values["begin"] === "now") {
          try {
            await startRollout({ name: planned.name, etag: planned.etag });
          } catch (error) {
            const reason = error instanceof Error ? error.message : String(error);
            complain(`It is planned, but did not start: ${reason}`);
          }
        } else toast(`Planned: ${what}. Nothing is rolled out before it is started.`);
        route(rolloutAddress(planned.name));
      }}
      onClose={onClose}
    />
  );
}
