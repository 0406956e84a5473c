import type { ComponentChildren } from "preact";
import { useCallback } from "preact/hooks";
import { SeverityMark } from "../../components/marks";
import { type Flow, listDeadLetters } from "../../contracts";
import { count, rate, seconds } from "../../flow/figures";
import { fallsBehind, isStale, partitionsOf } from "../../flow/trouble";
import { useEvery, useQuery } from "../../query";
import { allowed } from "../../session";

const HOUR_MS = 3600e3;
const READ_AGAIN_MS = 15_000;

interface TotalProps {
  title: string;
  bad?: boolean;
  /** Beside the value. */
  unit?: ComponentChildren;
  children: ComponentChildren;
  more?: ComponentChildren;
}

function Total({ title, bad, unit, children, more }: TotalProps) {
  return (
    <div class="flow-total">
      <dt class="quiet">{title}</dt>
      <dd>
        <span class="flow-figure num with-mark">
          {bad && <SeverityMark severity="SEVERITY_HIGH" />}
          <span>
            <strong>{children}</strong> <span class="unit">{unit}</span>
          </span>
        </span>
        <span class="quiet small num">{more}</span>
      </dd>
    </div>
  );
}

function DeadLetters() {
  const query = useQuery(
    (stop) => listDeadLetters({ pageSize: 1, startTime: new Date(Date.now() - HOUR_MS).toISOString() }, stop),
    "dead letters of an hour",
  );
  useEvery(
    READ_AGAIN_MS,
    useCallback(() => query.reload(), [query.reload]),
  );
  const letters = query.data?.totalSize;
  return (
    <Total
      title="Dead letters, last hour"
      unit={letters === 1 ? "message" : "messages"}
      more={<a href="/set-aside?state=all&since=1h">Show them</a>}
    >
      {letters === undefined ? "–" : count(letters)}
    </Total>
  );
}

/** How much comes, how far behind the flow is, and who works on it. */
export function Totals({ flow }: { flow: Flow }) {
  const stale = isStale(flow);
  const held = partitionsOf(flow).flatMap((v) => (v.held ? [v.held] : []));
  return (
    <dl class="flow-totals">
      <Total title="Messages from the log" unit="/s" more="over the last five seconds">
        {rate(flow.messagesPerSecond)}
      </Total>
      <Total
        title="Lag"
        unit="messages"
        bad={!stale && held.some(fallsBehind)}
        more={
          stale
            ? "not known while nobody speaks"
            : Number(flow.lagMessages)
              ? `the first has waited ${seconds(flow.lagSeconds)} at most`
              : "nothing waits in the log"
        }
      >
        {stale ? "–" : count(Number(flow.lagMessages))}
      </Total>
      <Total
        title="Processes"
        unit={`of ${flow.expectedCount}`}
        bad={flow.runningCount < flow.expectedCount}
        more={`${flow.heldPartitionCount} of ${flow.partitionCount} partitions taken`}
      >
        {flow.runningCount}
      </Total>
      {allowed(listDeadLetters.scope) && <DeadLetters />}
    </dl>
  );
}
