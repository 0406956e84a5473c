import { SeverityMark } from "../../components/marks";
import { type Column, Table } from "../../components/table";
import { Age, Time } from "../../components/time";
import type { Flow, Processor, ProcessorState } from "../../contracts";
import { seconds } from "../../flow/figures";
import { isSilent } from "../../flow/trouble";
import { serverNow } from "../../ticking";

const WORDS: Readonly<Record<ProcessorState, string>> = {
  PROCESSOR_STATE_UNSPECIFIED: "",
  PROCESSOR_STATE_RUNNING: "Running",
  PROCESSOR_STATE_STANDING_BY: "Standing by",
  PROCESSOR_STATE_SILENT: "Silent",
};

const numbers = (p: Processor, held: boolean): string =>
  p.partitions
    .filter((one) => one.held === held)
    .map((one) => one.partition)
    .join(", ");

function State({ of }: { of: Processor }) {
  if (!isSilent(of)) return <>{WORDS[of.state]}</>;
  const since = (serverNow.value - Date.parse(of.lastHeardTime ?? "")) / 1000;
  return (
    <span class="with-mark">
      <SeverityMark severity="SEVERITY_HIGH" />
      <span class="strong">Silent for {seconds(since)}</span>
    </span>
  );
}

const COLUMNS: readonly Column<Processor>[] = [
  {
    title: "Number",
    class: "num nowrap",
    cell: (p) => `${p.process} of ${p.processCount}`,
    text: (p) => `${p.process}/${p.processCount}`,
  },
  { title: "Host", class: "breaks", cell: (p) => p.host, text: (p) => p.host },
  { title: "State", class: "num", cell: (p) => <State of={p} />, text: (p) => WORDS[p.state] },
  {
    title: "Has partitions",
    class: "num",
    cell: (p) => numbers(p, true) || <span class="quiet">none</span>,
    text: (p) => numbers(p, true),
  },
  {
    title: "Waits for",
    class: "num",
    cell: (p) => numbers(p, false) || <span class="quiet">none</span>,
    text: (p) => numbers(p, false),
  },
  { title: "Version", class: "num", cell: (p) => p.version, text: (p) => p.version },
  {
    title: "Started",
    class: "num",
    cell: (p) => (
      <>
        <Time at={p.startTime} seconds />
        <span class="quiet small block">
          <Age at={p.startTime} />
        </span>
      </>
    ),
    text: (p) => p.startTime ?? "",
  },
  {
    title: "Name",
    cell: (p) => p.name,
    text: (p) => p.name,
    fileOnly: true,
  },
];

/** The processes that were heard of in the last minute. */
export function Processes({ flow }: { flow: Flow }) {
  return <Table noun="processor" columns={COLUMNS} rows={flow.processors} keyOf={(p: Processor) => p.name} />;
}
