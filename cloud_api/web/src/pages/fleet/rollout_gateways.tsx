import { useMemo } from "preact/hooks";
import { SeverityMark } from "../../components/marks";
import { type Column, Table } from "../../components/table";
import { Age } from "../../components/time";
import type { Gateway, Rollout, RolloutGateway } from "../../contracts";
import { type Behaviour, behaviourOf } from "../../fleet/health";
import { PROGRESS, PROGRESS_WORDS, type Progress, progressOf } from "../../fleet/stages";
import { number, quantity } from "../../format";
import { gatewayAddress } from "./views";

interface Row {
  taken: RolloutGateway;
  progress: Progress;
  behaviour: Behaviour | undefined;
}

const dash = <span class="quiet none">–</span>;

/** A figure of the new version, and that of the one before beside it. */
function figure(
  title: string,
  of: (m: NonNullable<Behaviour["version"]>) => number | undefined,
  write: (value: number) => string = number,
): Column<Row> {
  const text = (value: number | undefined): string => (value === undefined ? "" : write(value));
  return {
    title,
    class: "right num",
    cell: ({ behaviour }) => {
      const now = behaviour?.version && text(of(behaviour.version));
      const before = behaviour?.before && text(of(behaviour.before));
      if (!now) return dash;
      return (
        <>
          {now}
          {before && <span class="quiet block">before {before}</span>}
        </>
      );
    },
    text: ({ behaviour }) => (behaviour?.version ? text(of(behaviour.version)) : ""),
  };
}

function columns(rollout: Rollout): readonly Column<Row>[] {
  const isModel = rollout.kind === "RELEASE_KIND_MODEL";
  return [
    {
      title: "Gateway",
      class: "wide",
      cell: ({ taken }) => <a href={gatewayAddress(taken.gateway)}>{taken.edgeNode}</a>,
      text: ({ taken }) => taken.edgeNode,
    },
    {
      title: "Stage",
      class: "num",
      cell: ({ taken }) =>
        rollout.state === "ROLLOUT_STATE_PLANNED" ? dash : <>{rollout.stages[taken.stage]}&#8239;%</>,
      text: ({ taken }) => String(rollout.stages[taken.stage] ?? ""),
    },
    {
      title: "State",
      cell: ({ taken, progress }) => (
        <>
          <span class="with-mark">
            {(progress === "bad" || progress === "refused") && <SeverityMark severity="SEVERITY_HIGH" />}
            <span class={progress === "waiting" ? "quiet" : "pill"}>{PROGRESS_WORDS[progress]}</span>
          </span>
          {taken.reason && <span class="block">{taken.reason}</span>}
        </>
      ),
      text: ({ taken, progress }) => [PROGRESS_WORDS[progress], taken.reason].filter(Boolean).join(": "),
    },
    {
      title: "Since",
      class: "num",
      cell: ({ taken }) => (taken.sinceTime ? <Age at={taken.sinceTime} /> : dash),
      text: ({ taken }) => taken.sinceTime ?? "",
    },
    {
      title: "Last heard",
      class: "num",
      cell: ({ taken }) =>
        taken.lastSeenTime ? <Age at={taken.lastSeenTime} /> : <span class="quiet">never</span>,
      text: ({ taken }) => taken.lastSeenTime ?? "",
    },
    ...(isModel
      ? [
          figure("Median score", (m) => m.scoreP50),
          figure(
            "Inference p99",
            (m) => m.latencyP99Us,
            (v) => quantity(v, "µs"),
          ),
          figure("Crashes", (m) => m.crashes, String),
        ]
      : []),
  ];
}

interface RolloutGatewaysProps {
  rollout: Rollout;
  taken: readonly RolloutGateway[];
  gateways: readonly Gateway[];
}

/** The gateways of a rollout's groups, those that do worst first. */
export function RolloutGateways({ rollout, taken, gateways }: RolloutGatewaysProps) {
  const rows = useMemo(() => {
    const known = new Map(gateways.map((g) => [g.name, g]));
    const worst = (row: Row): number => PROGRESS.length - PROGRESS.indexOf(row.progress);
    return taken
      .map((one): Row => {
        const gateway = known.get(one.gateway);
        return {
          taken: one,
          progress: progressOf(one.state),
          behaviour: gateway && behaviourOf(rollout, gateway),
        };
      })
      .sort(
        (a, b) =>
          bad(b) - bad(a) ||
          a.taken.stage - b.taken.stage ||
          worst(b) - worst(a) ||
          a.taken.place - b.taken.place,
      );
  }, [rollout, taken, gateways]);
  return (
    <div class="dense">
      <Table noun="gateway" columns={columns(rollout)} rows={rows} keyOf={(row) => row.taken.gateway} />
    </div>
  );
}

const bad = (row: Row): number => Number(row.progress === "bad" || row.progress === "refused");
