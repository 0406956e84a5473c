import type { ComponentChildren } from "preact";
import { SeverityMark } from "../../components/marks";
import { type Column, Table } from "../../components/table";
import type { Flow } from "../../contracts";
import { count, seconds } from "../../flow/figures";
import {
  fallsBehind,
  isBusy,
  isSilent,
  type PartitionView,
  partitionsOf,
  processWord,
} from "../../flow/trouble";
import { bytes, percent } from "../../format";

const NONE = <span class="quiet">–</span>;

function Holder({ of }: { of: PartitionView }) {
  const { holder, waiting } = of;
  const alone = !holder || isSilent(holder);
  return (
    <>
      <span class="with-mark">
        {alone && <SeverityMark severity="SEVERITY_HIGH" />}
        <span class={alone ? "strong" : ""}>
          {holder ? processWord(holder) : "Nobody"}
          {holder && isSilent(holder) && ", silent"}
        </span>
      </span>
      {waiting.length > 0 && (
        <span class="quiet small block">waited for by {waiting.map(processWord).join(", ")}</span>
      )}
    </>
  );
}

const isOld = ({ holder }: PartitionView): boolean => holder !== undefined && isSilent(holder);

/** What a process said of a partition; struck through when it fell silent since. */
function Said({ of, children }: { of: PartitionView; children: ComponentChildren }) {
  if (!of.held) return NONE;
  return isOld(of) ? <span class="stale">{children}</span> : <>{children}</>;
}

function Lag({ of }: { of: PartitionView }) {
  const { held } = of;
  if (!held || isOld(of)) return <Said of={of}>{count(Number(held?.lagMessages))}</Said>;
  const behind = fallsBehind(held);
  return (
    <span class="with-mark">
      {behind && <SeverityMark severity="SEVERITY_HIGH" />}
      <span class={behind ? "strong" : ""}>
        {count(Number(held.lagMessages))}
        {behind && ` (+${count(Number(held.lagChangeMessages))})`}
      </span>
    </span>
  );
}

function Watermark({ of }: { of: PartitionView }) {
  const { held } = of;
  if (!held?.watermarkDevices) return NONE;
  return (
    <>
      <Said of={of}>{seconds(held.watermarkDelaySeconds)}</Said>
      {held.lastDevice && <span class="quiet small block">{held.lastDevice}</span>}
    </>
  );
}

function Busy({ of }: { of: PartitionView }) {
  const share = of.held?.busyShare;
  if (share === undefined) return NONE;
  if (isOld(of)) return <Said of={of}>{percent(share)}</Said>;
  const busy = isBusy(share);
  return (
    <span class="with-mark">
      {busy && <SeverityMark severity="SEVERITY_MEDIUM" />}
      <span class={busy ? "strong" : ""}>{percent(share)}</span>
    </span>
  );
}

const COLUMNS: readonly Column<PartitionView>[] = [
  { title: "Partition", class: "num", cell: (v) => v.number, text: (v) => String(v.number) },
  {
    title: "Process",
    class: "num breaks",
    cell: (v) => <Holder of={v} />,
    text: (v) => v.holder?.name ?? "",
  },
  {
    title: "Lag, messages",
    class: "right num",
    cell: (v) => <Lag of={v} />,
    text: (v) => v.held?.lagMessages ?? "",
  },
  {
    title: "Longest wait",
    class: "right num",
    cell: (v) => <Said of={v}>{seconds(v.held?.lagSeconds ?? NaN)}</Said>,
    text: (v) => String(v.held?.lagSeconds ?? ""),
  },
  {
    title: "Watermark delay",
    class: "right num",
    cell: (v) => <Watermark of={v} />,
    text: (v) => String(v.held?.watermarkDelaySeconds ?? ""),
  },
  {
    title: "Busy",
    class: "right num",
    cell: (v) => <Busy of={v} />,
    text: (v) => String(v.held?.busyShare ?? ""),
  },
  {
    title: "State size",
    class: "right num",
    cell: (v) => <Said of={v}>{bytes(Number(v.held?.stateBytes))}</Said>,
    text: (v) => v.held?.stateBytes ?? "",
  },
  {
    title: "Position",
    class: "right num",
    cell: (v) => <Said of={v}>{count(Number(v.held?.position))}</Said>,
    text: (v) => v.held?.position ?? "",
  },
];

/** What of the log each partition still has, who has it, and how far its devices lie behind. */
export function Partitions({ flow }: { flow: Flow }) {
  return (
    <Table
      noun="partition"
      columns={COLUMNS}
      rows={partitionsOf(flow)}
      keyOf={(v: PartitionView) => String(v.number)}
    />
  );
}
