import { SeverityMark } from "../../components/marks";
import type { Column } from "../../components/table";
import { Age } from "../../components/time";
import type { ConfigurationReport, Gateway, ModelReport } from "../../contracts";
import type { Concern } from "../../fleet/concerns";
import { HEARTBEAT_WORDS, type Heartbeat } from "../../fleet/heartbeat";
import { bytes, duration, percent, signedSeconds, utc } from "../../format";
import { HeartbeatText, Watched } from "./marks";
import { gatewayAddress } from "./views";

const NAMED = 3;

/** A gateway as it is judged when it was read. */
export interface Row {
  gateway: Gateway;
  heartbeat: Heartbeat;
  concerns: readonly Concern[];
  at: number;
}

const dash = <span class="quiet none">–</span>;

const MODEL_WORDS: Readonly<Record<ModelReport["state"], string>> = {
  INSTALLATION_STATE_UNSPECIFIED: "",
  INSTALLATION_STATE_RUNNING: "",
  INSTALLATION_STATE_TRIAL: " on trial",
  INSTALLATION_STATE_REVERTED: " refused",
};
const MODEL_ORDER: readonly ModelReport["state"][] = [
  "INSTALLATION_STATE_REVERTED",
  "INSTALLATION_STATE_TRIAL",
  "INSTALLATION_STATE_RUNNING",
];

/** What was refused and what is on trial before what is in use. */
const shownModels = (g: Gateway): ModelReport[] =>
  [...(g.report?.models ?? [])].sort((a, b) => MODEL_ORDER.indexOf(a.state) - MODEL_ORDER.indexOf(b.state));
const configurationOf = (g: Gateway): ConfigurationReport | undefined =>
  g.report?.configurations.find((c) => c.state !== "INSTALLATION_STATE_REVERTED");

function Model({ model, at }: { model: ModelReport; at: number }) {
  const refused = model.state === "INSTALLATION_STATE_REVERTED";
  return (
    <span class="block nowrap" title={model.reason || undefined}>
      <span class="with-mark">
        {refused && <SeverityMark severity="SEVERITY_MEDIUM" />}
        <span class={refused ? "strong" : ""}>
          {model.equipmentClass.replaceAll("_", " ")} {model.version}
        </span>
      </span>
      <span class="quiet">
        {MODEL_WORDS[model.state]}
        {model.sinceTime && `, ${duration(at - Date.parse(model.sinceTime))}`}
      </span>
    </span>
  );
}

function Models({ row }: { row: Row }) {
  const models = shownModels(row.gateway);
  if (!models.length) return dash;
  return (
    <>
      {models.slice(0, NAMED).map((m) => (
        <Model key={`${m.equipmentClass} ${m.version}`} model={m} at={row.at} />
      ))}
      {models.length > NAMED && <span class="quiet block">and {models.length - NAMED} more</span>}
    </>
  );
}

/** Return what a gateway has of models, in words. */
export const modelText = (g: Gateway): string =>
  shownModels(g)
    .map((m) => `${m.equipmentClass} ${m.version}${MODEL_WORDS[m.state]}`)
    .join("; ");

const time = (at: string | undefined): string => (at ? utc(Date.parse(at)) : "");

/** The list of gateways. */
export const COLUMNS: readonly Column<Row>[] = [
  {
    title: "Gateway",
    class: "wide",
    cell: ({ gateway }) => (
      <>
        <a href={gatewayAddress(gateway.name)}>{gateway.edgeNode}</a>
        <span class="quiet block nowrap">
          {gateway.site}
          {gateway.group && gateway.group !== "default" ? ` · ${gateway.group}` : ""}
        </span>
      </>
    ),
    text: ({ gateway }) => `${gateway.site}/${gateway.edgeNode}`,
  },
  {
    title: "State",
    cell: (row) => <HeartbeatText heartbeat={row.heartbeat} />,
    text: (row) => HEARTBEAT_WORDS[row.heartbeat],
  },
  {
    // In the pocket the figures stay on the gateway's page; what is wrong does not.
    title: "Needs a look",
    class: "pocket-only",
    cell: ({ concerns }) =>
      concerns.map((c) => (
        <span key={c.of} class="with-mark watched">
          <SeverityMark severity={c.severity} />
          {c.text}
        </span>
      )),
    text: ({ concerns }) => concerns.map((c) => c.text).join(" "),
  },
  {
    title: "Last heard",
    class: "num",
    cell: ({ gateway }) => (gateway.lastSeenTime ? <Age at={gateway.lastSeenTime} /> : dash),
    text: ({ gateway }) => time(gateway.lastSeenTime),
  },
  {
    title: "Agent",
    class: "num desk-only",
    cell: ({ gateway }) => gateway.report?.agentVersion || dash,
    text: ({ gateway }) => gateway.report?.agentVersion ?? "",
  },
  {
    title: "Models, since",
    cell: (row) => <Models row={row} />,
    text: ({ gateway }) => modelText(gateway),
  },
  {
    title: "Configuration",
    class: "desk-only",
    cell: ({ gateway }) => {
      const found = configurationOf(gateway);
      if (!found) return gateway.report ? <span class="quiet">local file</span> : dash;
      return (
        <>
          {found.version}
          <span class="quiet block nowrap">{found.name}</span>
        </>
      );
    },
    text: ({ gateway }) => {
      const found = configurationOf(gateway);
      return found ? `${found.name} ${found.version}` : "";
    },
  },
  {
    title: "Clock",
    class: "right num desk-only",
    cell: ({ gateway, concerns }) =>
      gateway.report?.clockOffsetMs === undefined ? (
        dash
      ) : (
        <Watched concerns={concerns} of="clock">
          {signedSeconds(gateway.report.clockOffsetMs / 1000)}
        </Watched>
      ),
    text: ({ gateway }) => String(gateway.report?.clockOffsetMs ?? ""),
  },
  {
    title: "Disk free",
    class: "right num desk-only",
    cell: ({ gateway: { report }, concerns }) =>
      Number(report?.diskBytes ?? 0) > 0 ? (
        <Watched concerns={concerns} of="disk">
          {bytes(Number(report!.diskFreeBytes))}
          <span class="quiet block">
            {percent(Number(report!.diskFreeBytes) / Number(report!.diskBytes))}
          </span>
        </Watched>
      ) : (
        dash
      ),
    text: ({ gateway }) => gateway.report?.diskFreeBytes ?? "",
  },
  {
    title: "Temp.",
    class: "right num desk-only",
    cell: ({ gateway: { report }, concerns }) =>
      report?.temperatureDegC === undefined ? (
        dash
      ) : (
        <Watched concerns={concerns} of="temperature">
          {Math.round(report.temperatureDegC)}&#8239;°C
        </Watched>
      ),
    text: ({ gateway }) => String(gateway.report?.temperatureDegC ?? ""),
  },
  {
    title: "Memory",
    class: "right num desk-only",
    cell: ({ gateway }) =>
      gateway.report?.memoryBytes === undefined ? dash : bytes(Number(gateway.report.memoryBytes)),
    text: ({ gateway }) => gateway.report?.memoryBytes ?? "",
  },
  {
    title: "Waiting",
    class: "right num desk-only",
    cell: ({ gateway: { report }, concerns }) =>
      report ? (
        <Watched concerns={concerns} of="spool">
          {report.spoolBatches}
          <span class="quiet block">{bytes(Number(report.spoolBytes))}</span>
        </Watched>
      ) : (
        dash
      ),
    text: ({ gateway }) => gateway.report?.spoolBatches ?? "",
  },
  {
    title: "Dropped",
    class: "right num desk-only",
    cell: ({ gateway: { report }, concerns }) =>
      report ? (
        <Watched concerns={concerns} of="dropped">
          {report.spoolDropped}
        </Watched>
      ) : (
        dash
      ),
    text: ({ gateway }) => gateway.report?.spoolDropped ?? "",
  },
  {
    title: "Certificate",
    class: "right num desk-only",
    cell: ({ gateway, concerns, at }) => {
      const left = Date.parse(gateway.certificateExpireTime ?? "") - at;
      if (!Number.isFinite(left)) return <span class="quiet">none</span>;
      return (
        <Watched concerns={concerns} of="certificate">
          <time
            dateTime={gateway.certificateExpireTime}
            title={`until ${time(gateway.certificateExpireTime)}`}
          >
            {left > 0 ? duration(left) : "expired"}
          </time>
        </Watched>
      );
    },
    text: ({ gateway }) => time(gateway.certificateExpireTime),
  },
];
