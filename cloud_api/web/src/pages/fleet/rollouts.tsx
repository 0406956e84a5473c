import { useLocation } from "preact-iso";
import { readFilters } from "../../address";
import { FilterBar, useSearch } from "../../components/filters";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import { Age, Time } from "../../components/time";
import { listRollouts, type Rollout, type RolloutState, RolloutStateValues } from "../../contracts";
import { utc } from "../../format";
import { useEvery, useQuery } from "../../query";
import { word } from "../../words";
import { RolloutStateText } from "./marks";
import { StageBar } from "./stage_bar";
import { rolloutAddress } from "./views";

/** Gateways answer by their reports, which are no events: what rolls is read again this often. */
const ROLLING_MS = 5000;

const lower = (state: RolloutState): string => state.slice("ROLLOUT_STATE_".length).toLowerCase();

const FILTERS = [
  {
    name: "state",
    label: "State",
    choices: RolloutStateValues.slice(1).map((s) => ({ value: lower(s), label: word(s, "ROLLOUT_STATE_") })),
  },
];

const COLUMNS: readonly Column<Rollout>[] = [
  {
    title: "What",
    class: "wide",
    cell: (r) => (
      <>
        <a href={rolloutAddress(r.name)}>
          {r.subject.replaceAll("_", " ")} {r.version}
        </a>
        <span class="quiet block">
          {r.kind === "RELEASE_KIND_CONFIGURATION" ? "configuration" : "model"}, after{" "}
          {r.previousVersion || "what its agent ships with"}
        </span>
      </>
    ),
    text: (r) => `${r.subject} ${r.version}`,
  },
  {
    title: "State",
    cell: (r) => <RolloutStateText state={r.state} />,
    text: (r) => word(r.state, "ROLLOUT_STATE_"),
  },
  { title: "Stages", cell: (r) => <StageBar rollout={r} />, text: (r) => r.stages.join(", ") },
  {
    title: "Well",
    class: "right num",
    cell: (r) =>
      r.state === "ROLLOUT_STATE_PLANNED" ? (
        <span class="quiet none">–</span>
      ) : (
        <span class="nowrap">
          {r.progress?.wellCount ?? 0} of {r.progress?.gatewayCount ?? 0}
          {r.progress && r.progress.badCount + r.progress.refusedCount > 0 && (
            <span class="strong block">{r.progress.badCount + r.progress.refusedCount} bad</span>
          )}
        </span>
      ),
    text: (r) => String(r.progress?.wellCount ?? 0),
  },
  {
    title: "For",
    cell: (r) => (
      <>
        {r.site}
        <span class="quiet block">
          {r.groups.join(", ")}: {r.progress?.totalCount ?? 0}{" "}
          {r.progress?.totalCount === 1 ? "gateway" : "gateways"}
        </span>
      </>
    ),
    text: (r) => `${r.site}: ${r.groups.join(", ")}`,
  },
  {
    title: "Why",
    class: "reason",
    cell: (r) => r.reason || <span class="quiet none">–</span>,
    text: (r) => r.reason,
  },
  {
    title: "In this stage",
    class: "num",
    cell: (r) => (r.stageTime ? <Age at={r.stageTime} /> : <span class="quiet none">–</span>),
    text: (r) => (r.stageTime ? utc(Date.parse(r.stageTime)) : ""),
  },
  {
    title: "Planned",
    cell: (r) => <Time at={r.createTime} />,
    text: (r) => (r.createTime ? utc(Date.parse(r.createTime)) : ""),
  },
];

/** Every rollout, newest first. */
export function RolloutsView() {
  const { search } = useSearch();
  const { route } = useLocation();
  const chosen = readFilters(search, ["state"]).state;
  const states = RolloutStateValues.filter((s) => chosen.includes(lower(s)));
  const query = useQuery(
    (stop) => listRollouts({ states, pageSize: 200 }, stop),
    `rollouts ${states.join()}`,
    ["fleet.rollout."],
  );
  const rows = query.data?.rollouts;
  useEvery(rows?.some((r) => r.state === "ROLLOUT_STATE_ROLLING") ? ROLLING_MS : 0, query.reload);
  return (
    <>
      <div class="page-head">
        <FilterBar filters={FILTERS} />
        <a class="button last" href="/fleet?view=releases">
          Plan a rollout…
        </a>
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty title={states.length ? "No rollout is like that." : "Nothing is rolled out."}>
          {states.length ? (
            <a href="/fleet?view=rollouts">Show every rollout</a>
          ) : (
            <>
              Choose a <a href="/fleet?view=releases">release</a> and plan how it reaches the gateways:
              1&#8239;% of them, then 10&#8239;%, then all, each stage only while those before it are well.
            </>
          )}
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <div class="dense">
          <Table
            noun="rollout"
            columns={COLUMNS}
            rows={rows}
            total={query.data?.totalSize ?? 0}
            keyOf={(r) => r.name}
            onOpen={(r) => route(rolloutAddress(r.name))}
          />
        </div>
      )}
    </>
  );
}
