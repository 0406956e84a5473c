import type { Flow, FlowNode, Processor, ProcessorPartition, Severity } from "../contracts";
import { percent } from "../format";
import { count, seconds, stepWord, things } from "./figures";

/** A partition of the log, with the process that holds it and those that wait for it. */
export interface PartitionView {
  number: number;
  holder: Processor | undefined;
  held: ProcessorPartition | undefined;
  waiting: readonly Processor[];
}

/** Something that is not as it should be, in a sentence; `key` stays while it lasts. */
export interface Trouble {
  key: string;
  severity: Severity;
  text: string;
  /** Of these a person can read more elsewhere. */
  deadLetters?: boolean;
}

/** A thread that works more than this has no room for a burst. */
export const BUSY = 0.9;
/** A lag that is shorter comes and goes with every block. */
const LAGGING_S = 5;

export const isSilent = (p: Processor): boolean => p.state === "PROCESSOR_STATE_SILENT";

/** Say whether nobody speaks any more of those who are shown. */
export const isStale = (flow: Flow): boolean => flow.processors.length > 0 && flow.processors.every(isSilent);

/** Return how a process is called. */
export const processWord = (p: Processor): string => `${p.process} on ${p.host}`;

/** Return the partitions of the log in order; what is silent holds its own while nobody else does. */
export function partitionsOf(flow: Flow): PartitionView[] {
  const speaking = [...flow.processors].sort((a, b) => Number(isSilent(a)) - Number(isSilent(b)));
  return Array.from({ length: flow.partitionCount }, (_, number) => {
    const with_ = (p: Processor): ProcessorPartition | undefined =>
      p.partitions.find((one) => one.partition === number);
    const holder = speaking.find((p) => with_(p)?.held);
    return {
      number,
      holder,
      held: holder && with_(holder),
      waiting: speaking.filter((p) => !isSilent(p) && with_(p)?.held === false),
    };
  });
}

/** Say whether more comes into a partition than is taken, for long enough to be seen. */
export function fallsBehind(held: ProcessorPartition): boolean {
  const lag = Number(held.lagMessages);
  return held.lagSeconds >= LAGGING_S && Number(held.lagChangeMessages) > Math.max(10, lag / 20);
}

export const isBusy = (share: number | undefined): boolean => share !== undefined && share > BUSY;

const listed = (numbers: readonly number[]): string =>
  numbers.length === 1
    ? `Partition ${numbers[0]} is`
    : `Partitions ${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)} are`;

function ofProcesses(flow: Flow, now: number): Trouble[] {
  const silent = flow.processors.filter(isSilent).map((p): Trouble => {
    const since = (now - Date.parse(p.lastHeardTime ?? "")) / 1000;
    const text = `Process ${processWord(p)} has said nothing for ${seconds(since)}.`;
    return { key: `silent ${p.name}`, severity: "SEVERITY_HIGH", text };
  });
  // Those that are silent are told already.
  const missing = flow.expectedCount - flow.runningCount - silent.length;
  if (missing > 0 && !isStale(flow))
    silent.push({
      key: "missing",
      severity: "SEVERITY_HIGH",
      text: `${flow.runningCount} of ${flow.expectedCount === 1 ? "one process" : `${flow.expectedCount} processes`} run.`,
    });
  return silent;
}

function ofPartitions(flow: Flow): Trouble[] {
  const views = partitionsOf(flow);
  const alone = views.filter((v) => !v.holder || isSilent(v.holder)).map((v) => v.number);
  const found: Trouble[] = [];
  if (alone.length)
    found.push({
      key: `nobody's ${alone.join()}`,
      severity: "SEVERITY_HIGH",
      text: `${listed(alone)} taken by nobody; the log keeps what comes.`,
    });
  for (const { number, held, holder } of views) {
    if (!held || !holder || isSilent(holder)) continue;
    if (fallsBehind(held))
      found.push({
        key: `lag ${number}`,
        severity: "SEVERITY_HIGH",
        text:
          `Partition ${number} falls behind: ${things(Number(held.lagMessages), "message")} wait, ` +
          `${count(Number(held.lagChangeMessages))} more than half a minute ago.`,
      });
    if (isBusy(held.busyShare))
      found.push({
        key: `busy ${number}`,
        severity: "SEVERITY_MEDIUM",
        text: `Partition ${number} has no room for more: its steps work ${percent(held.busyShare!)} of the time.`,
      });
  }
  return found;
}

function ofStep(step: FlowNode): Trouble[] {
  const letters = Number(step.recentDeadLetters);
  if (!letters) return [];
  return [
    {
      key: `letters ${step.name}`,
      severity: "SEVERITY_MEDIUM",
      text: `${stepWord(step.name)} set ${things(letters, "message")} aside in the last five minutes.`,
      deadLetters: true,
    },
  ];
}

const RANK: Partial<Record<Severity, number>> = { SEVERITY_HIGH: 0, SEVERITY_MEDIUM: 1 };

/** Return what is wrong with the flow, the worst first; `now` is the server's time. */
export function troublesOf(flow: Flow, now: number): Trouble[] {
  if (!flow.processors.length) return [];
  const found = [...ofProcesses(flow, now), ...(isStale(flow) ? [] : ofPartitions(flow))];
  return [...found, ...flow.steps.flatMap(ofStep)].sort(
    (a, b) => (RANK[a.severity] ?? 2) - (RANK[b.severity] ?? 2),
  );
}
