import { useCallback, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { readFilters, writeFilter } from "../../address";
import { ActionDialog } from "../../components/dialog";
import { FilterBar, useSearch } from "../../components/filters";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import { Time } from "../../components/time";
import {
  type DeadLetterCount,
  type DeadLetterFilter,
  listDeadLetters,
  replayDeadLetter,
  type SetAsideMessage,
  summariseDeadLetters,
} from "../../contracts";
import {
  ACTIONS,
  addressOf,
  countedBy,
  idOf,
  reasonWord,
  stateOf,
  type StateView,
  STATES,
  stateWord,
  whereOf,
} from "../../dead_letters/letters";
import { initial, utc } from "../../format";
import type { Action } from "../../lifecycle";
import { useEvery, useQuery } from "../../query";
import { allowed, lacking } from "../../session";
import { announce, toast } from "../../toast";
import { RunDialog } from "./run_dialog";
import { StateMark } from "./state_mark";

const READ_AGAIN_MS = 15_000;
const AGES: Readonly<Record<string, number>> = { "1h": 3600e3, "24h": 86400e3, "7d": 7 * 86400e3 };

const COLUMNS: readonly Column<SetAsideMessage>[] = [
  {
    title: "Received",
    cell: (m) => <Time at={m.receiveTime} seconds />,
    text: (m) => (m.receiveTime ? utc(Date.parse(m.receiveTime)) : ""),
  },
  {
    title: "Reason",
    class: "nowrap",
    cell: (m) => <a href={addressOf(m.name)}>{reasonWord(m.reason)}</a>,
    text: (m) => reasonWord(m.reason),
  },
  { title: "What was wrong", class: "wide breaks", cell: (m) => m.detail, text: (m) => m.detail },
  { title: "Where", class: "breaks", cell: whereOf, text: whereOf },
  { title: "State", cell: (m) => <StateMark of={m} />, text: stateWord },
  {
    title: "Bytes",
    class: "right num",
    cell: (m) => m.sizeBytes,
    text: (m) => String(m.sizeBytes),
  },
  { title: "Topic", cell: (m) => m.topic, text: (m) => m.topic, fileOnly: true },
  { title: "Name", cell: (m) => m.name, text: (m) => m.name, fileOnly: true },
];

interface Asked {
  action: Action<SetAsideMessage, SetAsideMessage["state"]>;
  rows: readonly SetAsideMessage[];
  clear: () => void;
}

function useAsked() {
  const { search } = useSearch();
  const names = ["state", "reason", "site", "node", "since"] as const;
  const chosen = readFilters(search, names);
  const view = STATES.find((s) => s === chosen.state[0]) ?? "open";
  const age = AGES[chosen.since[0] ?? ""];
  return { search, chosen, view, age };
}

/** What the address asks for, as a run's filter; times are of this minute, so that it is asked once. */
function filterOf(asked: ReturnType<typeof useAsked>): DeadLetterFilter {
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  return {
    site: asked.chosen.site[0] ?? "",
    reasons: asked.chosen.reason,
    edgeNode: asked.chosen.node[0] ?? "",
    ...(asked.age ? { startTime: new Date(minute - asked.age).toISOString() } : {}),
  };
}

function Views({ counts, view }: { counts: readonly DeadLetterCount[]; view: StateView }) {
  const { search } = useSearch();
  const by = new Map(countedBy(counts, "state").map((c) => [c.value, c.count]));
  const all = [...by.values()].reduce((sum, n) => sum + n, 0);
  return (
    <nav class="tabs" aria-label="States">
      {STATES.map((s) => (
        <a
          key={s}
          href={`/set-aside${writeFilter(search, "state", s === "open" ? [] : [s])}`}
          aria-current={s === view ? "page" : undefined}
        >
          {initial(s)} <span class="num">{s === "all" ? all : (by.get(stateOf(s)[0]!) ?? 0)}</span>
        </a>
      ))}
    </nav>
  );
}

function choices(counts: readonly DeadLetterCount[], view: StateView) {
  const states = stateOf(view);
  const shown = counts.filter((c) => !states.length || states.includes(c.state));
  const of = (field: "reason" | "site" | "edgeNode", label: (value: string) => string) =>
    countedBy(shown, field).map(({ value, count }) => ({ value, label: `${label(value)} ${count}` }));
  const plain = (value: string): string => value || "none";
  return [
    { name: "reason", label: "Reason", choices: of("reason", reasonWord) },
    { name: "site", label: "Site", choices: of("site", plain) },
    { name: "node", label: "Edge node", choices: of("edgeNode", plain).slice(0, 12) },
    {
      name: "since",
      label: "Received",
      choices: [
        { value: "1h", label: "Last hour" },
        { value: "24h", label: "Last day" },
        { value: "7d", label: "Last week" },
      ],
    },
  ].filter((f) => f.choices.length > 1);
}

/** Messages the flow could not use: counted by reason, and dealt with one by one or many at once. */
export function DeadLettersPage() {
  const asked = useAsked();
  const { route } = useLocation();
  const [doing, setDoing] = useState<Asked>();
  const [running, setRunning] = useState<"replay" | "discard">();
  const filter = filterOf(asked);
  const query = useQuery(
    (stop) => listDeadLetters({ ...filter, states: stateOf(asked.view), pageSize: 200 }, stop),
    `dead letters ${asked.search}`,
  );
  const summary = useQuery((stop) => summariseDeadLetters({}, stop), "dead letters counted");
  const reload = useCallback(() => {
    query.reload();
    summary.reload();
  }, [query.reload, summary.reload]);
  useEvery(READ_AGAIN_MS, reload);
  const counts = summary.data?.counts ?? [];
  const rows = query.data?.deadLetters;
  const total = query.data?.totalSize ?? 0;
  const narrowed = Object.entries(asked.chosen).some(([name, v]) => name !== "state" && v.length);
  const may = allowed(replayDeadLetter.scope);

  const carryOut = async (values: Record<string, string>): Promise<void> => {
    if (!doing) return;
    const results = await Promise.allSettled(doing.rows.map((m) => doing.action.run(m, values)));
    const failed = results.flatMap((r) => (r.status === "rejected" ? [r.reason as Error] : []));
    if (failed.length < results.length) doing.clear();
    announce(`${results.length - failed.length} ${doing.action.done}`, "polite");
    toast(`${results.length - failed.length} ${doing.action.done}`);
    reload();
    if (failed.length)
      throw new Error(`${failed.length} could not be ${doing.action.done}: ${failed[0]!.message}`);
  };

  return (
    <>
      <div class="page-head">
        <h1>Dead letters</h1>
        <Views counts={counts} view={asked.view} />
        {asked.view === "open" && total > 0 && may && (
          <span class="actions last">
            <button type="button" class="button" onClick={() => setRunning("replay")}>
              Replay all {total}…
            </button>
            <button type="button" class="button" onClick={() => setRunning("discard")}>
              Discard all {total}…
            </button>
          </span>
        )}
        <button type="button" class={may && total ? "button" : "button last"} onClick={reload}>
          Read again
        </button>
      </div>
      <p class="quiet dead-lead">
        Messages the flow could not use, with the reason. The flow goes on without them; nothing is lost while
        the log holds them.
      </p>
      <div class="page-head">
        <FilterBar filters={choices(counts, asked.view)} />
      </div>
      {!may && rows && rows.length > 0 && <p class="quiet small">{lacking(replayDeadLetter.scope)}</p>}
      {query.error && <Failed error={query.error} retry={reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (narrowed || asked.view !== "open") && (
        <Empty title="None of these.">
          No dead letter fits this choice. <a href="/set-aside">Show all open ones</a>
        </Empty>
      )}
      {rows?.length === 0 && !narrowed && asked.view === "open" && (
        <Empty title={counts.length ? "All were dealt with." : "Every message could be used."}>
          What cannot be decoded, has no birth or an impossible time appears here with its bytes, to be fixed
          and replayed.
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <Table
          noun="dead letter"
          columns={COLUMNS}
          rows={rows}
          total={total}
          keyOf={(m) => m.name}
          onOpen={(m) => route(addressOf(m.name))}
          {...(may
            ? {
                bulk: (chosen: readonly SetAsideMessage[], clear: () => void) => (
                  <>
                    {ACTIONS.map((action) => {
                      const fit = chosen.filter((m) => action.from.includes(m.state) && !action.blocked?.(m));
                      return (
                        <button
                          key={action.label}
                          type="button"
                          class="button"
                          disabled={!fit.length}
                          onClick={() => setDoing({ action, rows: fit, clear })}
                        >
                          {action.label} {fit.length}…
                        </button>
                      );
                    })}
                  </>
                ),
              }
            : {})}
        />
      )}
      {doing && (
        <ActionDialog
          title={`${doing.action.label} ${doing.rows.length === 1 ? idOf(doing.rows[0]!.name) : `${doing.rows.length} dead letters`}`}
          warning={doing.action.consequence?.(doing.rows[0]!)}
          confirm={doing.action.label}
          fields={doing.action.fields}
          draft={`dead letters.${doing.action.label}`}
          onRun={carryOut}
          onClose={() => setDoing(undefined)}
        />
      )}
      {running && (
        <RunDialog
          filter={filter}
          discard={running === "discard"}
          onClose={() => {
            setRunning(undefined);
            reload();
          }}
        />
      )}
    </>
  );
}
