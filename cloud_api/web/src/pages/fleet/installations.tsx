import { SeverityMark } from "../../components/marks";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import { Time } from "../../components/time";
import { type Gateway, type Installation, listInstallations, type ModelReport } from "../../contracts";
import { number, utc } from "../../format";
import { useQuery } from "../../query";
import { rolloutAddress } from "./views";

const SHOWN = 200;

const STATES: Readonly<Record<Installation["state"], string>> = {
  INSTALLATION_STATE_UNSPECIFIED: "–",
  INSTALLATION_STATE_RUNNING: "In use",
  INSTALLATION_STATE_TRIAL: "On trial",
  INSTALLATION_STATE_REVERTED: "Refused",
};

const time = (at: string | undefined): string => (at ? utc(Date.parse(at)) : "");

function StateCell({ of }: { of: Installation }) {
  const refused = of.state === "INSTALLATION_STATE_REVERTED" && !of.untilTime;
  return (
    <>
      <span class="with-mark">
        {refused && <SeverityMark severity="SEVERITY_MEDIUM" />}
        <span class={of.untilTime ? "quiet" : "pill"}>{STATES[of.state]}</span>
      </span>
      {of.reason && <span class="quiet block">{of.reason}</span>}
    </>
  );
}

/** What is known only of a model that runs now comes with the report. */
function columns(models: readonly ModelReport[]): readonly Column<Installation>[] {
  const told = (i: Installation): ModelReport | undefined =>
    i.untilTime ? undefined : models.find((m) => m.equipmentClass === i.subject && m.version === i.version);
  const figure = (
    title: string,
    of: (m: ModelReport) => number | undefined,
    unit = "",
  ): Column<Installation> => {
    const text = (i: Installation): string => {
      const model = told(i);
      const value = model && of(model);
      return value === undefined ? "" : number(value) + unit;
    };
    return { title, class: "right num", cell: (i) => text(i) || <span class="quiet none">–</span>, text };
  };
  return [
    {
      title: "What",
      class: "wide",
      cell: (i) => (
        <>
          {i.subject.replaceAll("_", " ")} {i.version}
          <span class="quiet block">
            {i.kind === "RELEASE_KIND_CONFIGURATION" ? "configuration" : "model"}
          </span>
        </>
      ),
      text: (i) => `${i.subject} ${i.version}`,
    },
    { title: "State", cell: (i) => <StateCell of={i} />, text: (i) => STATES[i.state] },
    { title: "Since", cell: (i) => <Time at={i.sinceTime} />, text: (i) => time(i.sinceTime) },
    {
      title: "Until",
      cell: (i) => (i.untilTime ? <Time at={i.untilTime} /> : <span class="quiet">now</span>),
      text: (i) => time(i.untilTime),
    },
    {
      title: "Windows",
      class: "right num",
      cell: (i) => told(i)?.windows ?? <span class="quiet none">–</span>,
      text: (i) => told(i)?.windows ?? "",
    },
    figure("Median score", (m) => m.scoreP50),
    figure("Inference p99", (m) => m.latencyP99Us, "\u202fµs"),
    {
      title: "Crashes",
      class: "right num",
      cell: (i) => told(i)?.crashes ?? <span class="quiet none">–</span>,
      text: (i) => String(told(i)?.crashes ?? ""),
    },
    {
      title: "Brought by",
      cell: (i) =>
        i.rollout ? <a href={rolloutAddress(i.rollout)}>Rollout</a> : <span class="quiet">its agent</span>,
      text: (i) => i.rollout,
    },
    {
      title: "SHA-256",
      cell: (i) => <code title={i.sha256}>{i.sha256.slice(0, 8) || "–"}</code>,
      text: (i) => i.sha256,
    },
  ];
}

/** What a gateway has and had, newest first. */
export function Installations({ gateway }: { gateway: Gateway }) {
  const query = useQuery(
    (stop) => listInstallations({ gateway: gateway.name, history: true, pageSize: SHOWN }, stop),
    `installations ${gateway.name} ${installedOf(gateway)}`,
    ["fleet.rollout."],
  );
  const rows = query.data?.installations;
  if (query.error && !rows) return <Failed error={query.error} retry={query.reload} />;
  if (!rows) return <Skeleton lines={3} />;
  if (!rows.length)
    return (
      <Empty title="Nothing is installed here.">
        An agent that scores with a model, or has a managed configuration, says so in its reports.
      </Empty>
    );
  return (
    <div class="dense">
      <Table
        noun="installation"
        columns={columns(gateway.report?.models ?? [])}
        rows={rows}
        total={query.data?.totalSize ?? 0}
        keyOf={(i) => i.name}
      />
    </div>
  );
}

/** Return what changes when an installation begins or ends. */
function installedOf({ report }: Gateway): string {
  const of = (items: readonly { version: string; state: string }[]): string =>
    items.map((i) => `${i.version}${i.state}`).join();
  return report ? `${of(report.models)} ${of(report.configurations)}` : "";
}
