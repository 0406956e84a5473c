import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { Actions } from "../../components/actions";
import { ActionDialog } from "../../components/dialog";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import { Time } from "../../components/time";
import {
  createWriteLimit,
  deleteWriteLimit,
  type Gateway,
  listGateways,
  listWriteLimits,
  proposeWrite,
  type WriteLimit,
} from "../../contracts";
import { isNumeric, limitText, parseValue, valueText } from "../../fleet/writes";
import { unitText, utc } from "../../format";
import type { Action, Field } from "../../lifecycle";
import { useQuery } from "../../query";
import { lacking } from "../../session";
import { equipment } from "../../store";
import { toast } from "../../toast";
import { Lacking } from "./lacking";
import { liveValue } from "./live_value";

const PAGE = 1000;

const LIMIT_FIELDS: readonly Field[] = [
  { name: "site", label: "Site", kind: "line", required: true },
  { name: "device", label: "Device", kind: "line", required: true, hint: "The equipment's tag." },
  { name: "metric", label: "Metric", kind: "line", required: true, hint: "As the device's birth names it." },
  { name: "minimum", label: "Least number", kind: "line", required: false },
  {
    name: "maximum",
    label: "Greatest number",
    kind: "line",
    required: false,
    hint: "Without either it is for switches and texts, not for numbers.",
  },
  { name: "unit", label: "Unit", kind: "line", required: false },
  {
    name: "secondPerson",
    label: "Who confirms",
    kind: "choice",
    required: true,
    choices: [
      { value: "yes", label: "Another person than who proposes" },
      { value: "no", label: "Anyone who may write" },
    ],
  },
];

/** Return the number of a field; undefined when it is empty, an error when it is none. */
function numberOf(text: string | undefined, label: string): number | undefined {
  if (!text?.trim()) return undefined;
  const value = Number(text.trim().replace(",", "."));
  if (!Number.isFinite(value)) throw new Error(`${label}: “${text}” is no number.`);
  return value;
}

async function allow(values: Record<string, string>): Promise<void> {
  await createWriteLimit({
    writeLimit: {
      name: "",
      site: values["site"]?.trim() ?? "",
      device: values["device"]?.trim() ?? "",
      metric: values["metric"]?.trim() ?? "",
      unit: values["unit"]?.trim() ?? "",
      minimum: numberOf(values["minimum"], "Least number"),
      maximum: numberOf(values["maximum"], "Greatest number"),
      secondPerson: values["secondPerson"] === "yes",
    },
  });
}

const LIMIT_ACTIONS: readonly Action<WriteLimit, "kept">[] = [
  {
    label: "Delete",
    done: "deleted",
    from: ["kept"],
    fields: [],
    final: true,
    scope: deleteWriteLimit.scope,
    consequence: (l) =>
      `${l.device} ${l.metric} cannot be written any more, and what was proposed and not confirmed is refused.`,
    run: async (l) => {
      await deleteWriteLimit({ name: l.name });
      return l;
    },
  },
];

function hintOf(limit: WriteLimit): string {
  if (!isNumeric(limit)) return "on, off, or a text.";
  const now = liveValue(limit.device, limit.metric);
  return `Allowed: ${limitText(limit)}.${now ? ` It is ${valueText(now, limit.unit)} now.` : ""}`;
}

function writeFields(limit: WriteLimit, gateways: readonly Gateway[]): readonly Field[] {
  const unit = unitText(limit.unit);
  return [
    {
      name: "gateway",
      label: "Through gateway",
      kind: "choice",
      required: true,
      choices: [
        ...(gateways.length > 1 ? [{ value: "", label: "Choose the one that has the device" }] : []),
        ...gateways.map((g) => ({ value: g.name, label: g.edgeNode })),
      ],
    },
    {
      name: "value",
      label: unit && isNumeric(limit) ? `New value in ${unit}` : "New value",
      kind: "line",
      required: true,
      hint: hintOf(limit),
    },
    { name: "reason", label: "Reason", kind: "text", required: true },
  ];
}

/** What may be written to devices, and the first of the two steps of writing it. */
export function LimitsView() {
  const { route } = useLocation();
  const [adding, setAdding] = useState(false);
  const [writing, setWriting] = useState<WriteLimit>();
  const query = useQuery((stop) => listWriteLimits({ pageSize: PAGE }, stop), "write limits");
  const gateways = useQuery((stop) => listGateways({ pageSize: PAGE }, stop), "gateways of writes").data
    ?.gateways;
  const rows = query.data?.writeLimits;
  const noAdding = lacking(createWriteLimit.scope);
  const noWriting = lacking(proposeWrite.scope);
  const of = (limit: WriteLimit): Gateway[] =>
    (gateways ?? []).filter((g) => g.site === limit.site && g.state !== "GATEWAY_STATE_REVOKED");
  const refusal = (limit: WriteLimit): string =>
    noWriting || (gateways && !of(limit).length ? `No gateway of ${limit.site} is known.` : "");
  const columns: readonly Column<WriteLimit>[] = [
    {
      title: "Metric",
      class: "wide",
      cell: (l) => (
        <>
          {l.device} {l.metric}
        </>
      ),
      text: (l) => `${l.device} ${l.metric}`,
    },
    { title: "Site", cell: (l) => l.site, text: (l) => l.site },
    { title: "Allowed", class: "num", cell: limitText, text: limitText },
    {
      title: "Who confirms",
      cell: (l) => (l.secondPerson ? "another person" : "anyone who may write"),
      text: (l) => (l.secondPerson ? "another person" : "anyone"),
    },
    {
      title: "Since",
      cell: (l) => <Time at={l.createTime} />,
      text: (l) => (l.createTime ? utc(Date.parse(l.createTime)) : ""),
    },
    {
      title: "Next",
      cell: (l) => (
        <div class="actions">
          <button
            type="button"
            class="button"
            disabled={refusal(l) !== ""}
            title={refusal(l) || undefined}
            onClick={() => setWriting(l)}
          >
            Write…
          </button>
          <Actions
            resource={l}
            state="kept"
            title={`${l.device} ${l.metric}`}
            actions={LIMIT_ACTIONS}
            brief
            onDone={query.reload}
            onRefused={query.reload}
          />
        </div>
      ),
    },
  ];
  return (
    <>
      <div class="page-head">
        <div class="grow">
          <p class="quiet">
            Only what is listed here can be written. A write is proposed, confirmed within 5 min, and checked
            against its limits both times.
          </p>
          <Lacking of={createWriteLimit} />
          <Lacking of={proposeWrite} />
        </div>
        <button
          type="button"
          class="button button-primary last"
          disabled={noAdding !== ""}
          title={noAdding || undefined}
          onClick={() => setAdding(true)}
        >
          Allow a metric…
        </button>
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty title="Nothing may be written.">
          Devices are only read until someone allows a metric, with the least and greatest number it may be
          set to.
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <div class="dense">
          <Table
            noun="limit"
            columns={columns}
            rows={rows}
            total={query.data?.totalSize ?? 0}
            keyOf={(l) => l.name}
          />
        </div>
      )}
      {adding && (
        <ActionDialog
          title="Allow a metric to be written"
          warning="Who may write can then set it on the real device, within these limits."
          confirm="Allow"
          wide
          fields={LIMIT_FIELDS}
          initial={{ site: onlySite(), secondPerson: "yes" }}
          draft="write-limit"
          onRun={async (values) => {
            await allow(values);
            query.reload();
          }}
          onClose={() => setAdding(false)}
        />
      )}
      {writing && (
        <ActionDialog
          title={`Write ${writing.device} ${writing.metric}`}
          warning={`Nothing is sent yet: ${writing.secondPerson ? "another person" : "you or another person"} confirms it first.`}
          confirm="Propose"
          fields={writeFields(writing, of(writing))}
          initial={{ gateway: of(writing).length === 1 ? of(writing)[0]!.name : "" }}
          draft={`write.${writing.name}`}
          onRun={async (values) => {
            const value = parseValue(values["value"] ?? "", writing);
            if (!value) throw new Error(`“${values["value"]}” is no number.`);
            const { device, metric } = writing;
            await proposeWrite({
              gateway: values["gateway"],
              device,
              metric,
              value,
              reason: values["reason"],
            });
            toast("Proposed: confirm it within 5 min.");
            route("/fleet?view=commands");
          }}
          onClose={() => setWriting(undefined)}
        />
      )}
    </>
  );
}

/** Return the one site there is; empty when there are more. */
function onlySite(): string {
  const sites = new Set(equipment.value?.map((e) => e.site));
  return sites.size === 1 ? [...sites][0]! : "";
}
