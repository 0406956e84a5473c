import { useCallback, useEffect, useRef } from "preact/hooks";
import { readFilters } from "../address";
import { useSearch } from "../components/filters";
import { SeverityMark } from "../components/marks";
import { Empty, Failed, Skeleton } from "../components/states";
import { type Flow, getFlow } from "../contracts";
import { isStale, type Trouble, troublesOf } from "../flow/trouble";
import { liveState, watchFlow } from "../live";
import { useEvery, useQuery } from "../query";
import { allowed, lacking } from "../session";
import { serverNow } from "../ticking";
import { announce } from "../toast";
import { Diagram } from "./flow/diagram";
import { Partitions } from "./flow/partitions";
import { Processes } from "./flow/processes";
import { StepDetail } from "./flow/step_detail";
import { Totals } from "./flow/totals";

/** While nothing comes live, it is asked for. */
const READ_AGAIN_MS = 5000;

/** Tells a screen reader what begins to be wrong, and that all is well again. */
function useTold(troubles: readonly Trouble[]): void {
  const known = useRef(new Set<string>());
  const keys = troubles.map((t) => t.key).join();
  useEffect(() => {
    const fresh = troubles.filter((t) => !known.current.has(t.key));
    if (fresh.length) announce(fresh.map((t) => t.text).join(" "), "polite");
    else if (known.current.size && !troubles.length) announce("The flow keeps up again.", "polite");
    known.current = new Set(troubles.map((t) => t.key));
  }, [keys]);
}

function Troubles({ troubles }: { troubles: readonly Trouble[] }) {
  if (!troubles.length)
    return <p class="quiet flow-state">Every partition of the log is taken, and none falls behind.</p>;
  return (
    <ul class="concerns flow-state" aria-label="What is wrong">
      {troubles.map((t) => (
        <li key={t.key} class="with-mark num">
          <SeverityMark severity={t.severity} />
          <span>
            {t.text} {t.deadLetters && <a href="/set-aside?since=1h">Look at them</a>}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Running({ flow }: { flow: Flow }) {
  const { search } = useSearch();
  const chosen = readFilters(search, ["step"]).step[0];
  const step = flow.steps.find((s) => s.name === chosen);
  const troubles = troublesOf(flow, serverNow.value);
  useTold(troubles);
  return (
    <div class={isStale(flow) ? "flow-page flow-stale" : "flow-page"}>
      <Totals flow={flow} />
      {isStale(flow) && (
        <p class="flow-state strong">No process speaks any more. What you see is as it was then.</p>
      )}
      <Troubles troubles={troubles} />
      <section class="section" aria-label="Steps">
        <Diagram steps={flow.steps} chosen={step?.name} />
      </section>
      {step && <StepDetail flow={flow} step={step} />}
      <section class="section" aria-labelledby="flow-partitions">
        <h2 id="flow-partitions">Partitions of the log</h2>
        <Partitions flow={flow} />
      </section>
      <section class="section" aria-labelledby="flow-processes">
        <h2 id="flow-processes">Processes</h2>
        <Processes flow={flow} />
      </section>
    </div>
  );
}

function Watched() {
  const query = useQuery((stop) => getFlow({}, stop), "flow");
  const { data: flow, error, reload, set } = query;
  useEffect(() => watchFlow(set), [set]);
  const readAgain = useCallback(() => {
    if (!liveState.peek().connected) reload();
  }, [reload]);
  useEvery(READ_AGAIN_MS, readAgain);
  return (
    <>
      {error && <Failed error={error} retry={reload} />}
      {!flow && !error && <Skeleton />}
      {flow && !flow.processors.length && (
        <Empty title="No processor is running.">
          What gateways send waits in the log, and nothing is lost while it has room. Start one with{" "}
          <code>python -m stream_processor</code>, and the flow appears here within a second.
        </Empty>
      )}
      {flow && flow.processors.length > 0 && <Running flow={flow} />}
    </>
  );
}

/** The running flow: its steps with their rates, the partitions of the log, and the processes. */
export function FlowPage() {
  return (
    <>
      <div class="page-head">
        <h1>Flow</h1>
      </div>
      {allowed(getFlow.scope) ? (
        <Watched />
      ) : (
        <Empty title="This page is for engineers.">{lacking(getFlow.scope)}</Empty>
      )}
    </>
  );
}
