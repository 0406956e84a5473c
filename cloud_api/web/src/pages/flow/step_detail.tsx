import { useEffect, useRef } from "preact/hooks";
import { writeFilter } from "../../address";
import { useSearch } from "../../components/filters";
import { type Column, Table } from "../../components/table";
import type { Flow, FlowNode, Processor, StepRate } from "../../contracts";
import { count, rate, stepWord } from "../../flow/figures";
import { isSilent, partitionsOf, processWord } from "../../flow/trouble";
import { percent } from "../../format";

interface Share {
  partition: number;
  holder: Processor;
  rate: StepRate;
}

/** What a process said; struck through when it fell silent since. */
function Said({ by, children }: { by: Processor; children: string }) {
  return isSilent(by) ? <span class="stale">{children}</span> : <>{children}</>;
}

const COLUMNS: readonly Column<Share>[] = [
  { title: "Partition", class: "num", cell: (s) => s.partition, text: (s) => String(s.partition) },
  { title: "Process", class: "num breaks", cell: (s) => processWord(s.holder), text: (s) => s.holder.name },
  {
    title: "Items a second",
    class: "right num",
    cell: (s) => <Said by={s.holder}>{rate(s.rate.itemsPerSecond)}</Said>,
    text: (s) => String(s.rate.itemsPerSecond ?? ""),
  },
  {
    title: "Busy",
    class: "right num",
    cell: (s) => <Said by={s.holder}>{percent(s.rate.busyShare ?? NaN)}</Said>,
    text: (s) => String(s.rate.busyShare ?? ""),
  },
  {
    title: "Items since the start",
    class: "right num",
    cell: (s) => count(Number(s.rate.items)),
    text: (s) => s.rate.items,
  },
  {
    title: "Dead letters since",
    class: "right num",
    cell: (s) => count(Number(s.rate.deadLetters)),
    text: (s) => s.rate.deadLetters,
  },
];

/** A step by the partitions that it works on. */
export function StepDetail({ flow, step }: { flow: Flow; step: FlowNode }) {
  const { search } = useSearch();
  const head = useRef<HTMLDivElement>(null);
  // On a phone it is far below what was chosen.
  useEffect(() => head.current?.scrollIntoView({ block: "nearest" }), [step.name]);
  const shares = partitionsOf(flow).flatMap(({ number, holder, held }): Share[] => {
    const found = held?.steps.find((s) => s.step === step.name);
    return found && holder ? [{ partition: number, holder, rate: found }] : [];
  });
  return (
    <section class="section" aria-labelledby="flow-step">
      <div ref={head} class="flow-detail-head">
        <h2 id="flow-step">{stepWord(step.name)}</h2>
        <a href={`/flow${writeFilter(search, "step", [])}`}>Close</a>
      </div>
      <Table noun="partition" columns={COLUMNS} rows={shares} keyOf={(s: Share) => String(s.partition)} />
    </section>
  );
}
