import { useLocation } from "preact-iso";
import { readFilters } from "../address";
import { FilterBar, useSearch } from "../components/filters";
import { SeverityMark, Sla, TicketStateText } from "../components/marks";
import { Empty, Failed, Skeleton } from "../components/states";
import { type Column, Table } from "../components/table";
import { Age } from "../components/time";
import {
  listTickets,
  type Ticket,
  TicketPriorityValues,
  type TicketState,
  TicketStateValues,
} from "../contracts";
import { utc } from "../format";
import { useQuery } from "../query";
import { session } from "../session";
import { failureModeWord, idOf, OPEN_TICKET_STATES, priorityWord, ticketStateWord } from "../words";

const lower = (state: TicketState): string =>
  state.slice("TICKET_STATE_".length).toLowerCase().replaceAll("_", "-");
const rank = (ticket: Ticket): number => TicketPriorityValues.indexOf(ticket.priority);

const COLUMNS: readonly Column<Ticket>[] = [
  { title: "Number", cell: (t) => <a href={`/work/${idOf(t.name)}`}>{t.number}</a>, text: (t) => t.number },
  {
    title: "Priority",
    cell: (t) => (
      <span class="with-mark">
        <SeverityMark severity={t.severity} />
        {priorityWord(t.priority)}
      </span>
    ),
    text: (t) => priorityWord(t.priority),
  },
  {
    title: "Equipment",
    cell: (t) => <a href={`/equipment/${encodeURIComponent(t.equipment)}`}>{t.equipment}</a>,
    text: (t) => t.equipment,
  },
  { title: "What is wrong", class: "wide", cell: (t) => t.title, text: (t) => t.title },
  {
    title: "Failure mode",
    cell: (t) => failureModeWord(t.failureMode),
    text: (t) => failureModeWord(t.failureMode),
  },
  { title: "State", cell: (t) => <TicketStateText state={t.state} />, text: (t) => ticketStateWord(t.state) },
  { title: "Who", cell: (t) => t.assignee || <span class="quiet">nobody</span>, text: (t) => t.assignee },
  {
    title: "Start by",
    cell: (t) => <Sla clock={t.responseSla} />,
    text: (t) => t.responseSla?.dueTime ?? "",
  },
  {
    title: "Opened",
    cell: (t) => <Age at={t.createTime} />,
    text: (t) => utc(Date.parse(t.createTime ?? "")),
  },
];

function filters() {
  const user = session.value?.user ?? "";
  return [
    {
      name: "state",
      label: "State",
      choices: TicketStateValues.slice(1).map((state) => ({
        value: lower(state),
        label: ticketStateWord(state),
      })),
    },
    { name: "assignee", label: "Who", choices: [{ value: user, label: "Mine" }] },
  ];
}

/** Every work order that is still open, or those the address asks for. */
export function WorkPage() {
  const { search } = useSearch();
  const { route } = useLocation();
  const chosen = readFilters(search, ["state", "assignee", "equipment"]);
  const states = TicketStateValues.filter((s) => chosen.state.includes(lower(s)));
  const asked = {
    states: states.length ? states : [...OPEN_TICKET_STATES],
    assignee: chosen.assignee[0] ?? "",
    equipment: chosen.equipment[0] ?? "",
  };
  const query = useQuery((stop) => listTickets({ ...asked, pageSize: 500 }, stop), JSON.stringify(asked), [
    "maintenance.ticket.",
  ]);
  const rows = query.data?.tickets.sort(
    (a, b) => rank(b) - rank(a) || (b.createTime ?? "").localeCompare(a.createTime ?? ""),
  );
  const filtered = states.length > 0 || asked.assignee !== "" || asked.equipment !== "";
  return (
    <>
      <div class="page-head">
        <h1>{asked.assignee && asked.assignee === session.value?.user ? "My jobs" : "Work"}</h1>
        <FilterBar filters={filters()} />
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty
          title={
            asked.assignee
              ? "No job is yours."
              : filtered
                ? "No ticket is like that."
                : "Nothing is to be done."
          }
        >
          {filtered ? (
            <a href="/work">Show every open ticket</a>
          ) : (
            "An alarm opens a ticket by itself, with its evidence, steps and spare parts."
          )}
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <Table
          noun="ticket"
          columns={COLUMNS}
          rows={rows}
          total={query.data?.totalSize ?? 0}
          keyOf={(t) => t.name}
          onOpen={(t) => route(`/work/${idOf(t.name)}`)}
        />
      )}
    </>
  );
}
