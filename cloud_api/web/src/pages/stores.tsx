import { useMemo } from "preact/hooks";
import { Actions } from "../components/actions";
import { useSearch } from "../components/filters";
import { Empty, Failed, Skeleton } from "../components/states";
import { type Column, Table } from "../components/table";
import { Age } from "../components/time";
import {
  listBins,
  listParts,
  listRequisitions,
  listReservations,
  type Part,
  type Requisition,
  type Reservation,
} from "../contracts";
import { decimal, utc } from "../format";
import { REQUISITION_ACTIONS } from "../lifecycle";
import { useQuery } from "../query";
import { idOf, requisitionWord, reservationWord } from "../words";
import { writeFilter } from "../address";

const VIEWS = [
  { key: "parts", label: "Parts" },
  { key: "requisitions", label: "Requisitions" },
  { key: "reservations", label: "Reservations" },
] as const;

const needsOrder = (p: Part): boolean => Number(p.availableQuantity) <= Number(p.reorderPoint);

const isOrdered = (p: Part): boolean => Number(p.onOrderQuantity) > 0;

/** Free stock against its point of reorder, as a place. */
function Level({ part }: { part: Part }) {
  const top = Math.max(Number(part.onHandQuantity), Number(part.reorderPoint), 1) * 1.25;
  const place = (value: string): string => `${Math.min(100, Math.max(0, (Number(value) / top) * 100))}%`;
  return (
    <span
      class="level"
      role="meter"
      aria-label="Free stock"
      aria-valuemin={0}
      aria-valuemax={top}
      aria-valuenow={Number(part.availableQuantity)}
      title={`${decimal(part.availableQuantity)} free, reorder at ${decimal(part.reorderPoint)}`}
    >
      <span
        class={needsOrder(part) && !isOrdered(part) ? "level-fill level-low" : "level-fill"}
        style={{ width: place(part.availableQuantity) }}
      />
      <span class="level-limit" style={{ left: place(part.reorderPoint) }} />
    </span>
  );
}

const count = (title: string, of: (p: Part) => string): Column<Part> => ({
  title,
  class: "right num",
  cell: (p) => decimal(of(p)),
  text: of,
});

const PART_COLUMNS: readonly Column<Part>[] = [
  { title: "Part", cell: (p) => <strong>{p.partNumber}</strong>, text: (p) => p.partNumber },
  { title: "Name", class: "wide", cell: (p) => p.displayName, text: (p) => p.displayName },
  { title: "Stock", cell: (p) => <Level part={p} /> },
  count("Free", (p) => p.availableQuantity),
  count("On hand", (p) => p.onHandQuantity),
  count("Reserved", (p) => p.reservedQuantity),
  count("On order", (p) => p.onOrderQuantity),
  count("Reorder at", (p) => p.reorderPoint),
  { title: "Unit", cell: (p) => p.unit, text: (p) => p.unit },
  {
    title: "State",
    cell: (p) =>
      needsOrder(p) ? (
        <span class="strong">{isOrdered(p) ? "Low, ordered" : "Low"}</span>
      ) : (
        <span class="quiet">Enough</span>
      ),
    text: (p) => (needsOrder(p) ? "low" : "enough"),
  },
  {
    title: "Lead time",
    class: "right num",
    cell: (p) => `${p.leadTimeDays} days`,
    text: (p) => String(p.leadTimeDays),
  },
];

function Parts({ part }: { part: string }) {
  const query = useQuery((stop) => listParts({ pageSize: 1000 }, stop), "parts", ["supply_chain."]);
  const rows = query.data?.parts
    .filter((p) => !part || p.partNumber === part)
    .sort(
      (a, b) => Number(needsOrder(b)) - Number(needsOrder(a)) || a.partNumber.localeCompare(b.partNumber),
    );
  if (query.error && !rows) return <Failed error={query.error} retry={query.reload} />;
  if (!rows) return <Skeleton />;
  if (!rows.length)
    return (
      <Empty title={part ? `No part is numbered ${part}.` : "No part is kept here."}>
        {part ? (
          <a href="/stores">Show every part</a>
        ) : (
          "Parts come in over the API: POST /v1/parts, then a receipt for each."
        )}
      </Empty>
    );
  return (
    <Table
      noun="part"
      columns={PART_COLUMNS}
      rows={rows}
      total={part ? rows.length : (query.data?.totalSize ?? 0)}
      keyOf={(p) => p.name}
    />
  );
}

const partLink = (name: string) => (
  <a href={`/stores?part=${encodeURIComponent(idOf(name))}`}>{idOf(name)}</a>
);

const money = (r: Requisition): string =>
  r.estimatedCost ? `${r.estimatedCost.amount} ${r.estimatedCost.currencyCode}` : "–";

function Requisitions({ part }: { part: string }) {
  const asked = { part: part && `parts/${part}`, pageSize: 500 };
  const query = useQuery((stop) => listRequisitions(asked, stop), `requisitions ${part}`, ["supply_chain."]);
  const bins = useQuery((stop) => listBins({ pageSize: 500 }, stop), "bins").data?.bins;
  const choices = useMemo(
    () =>
      (bins ?? []).map((b) => ({
        value: b.name,
        label: b.displayName ? `${b.code} ${b.displayName}` : b.code,
      })),
    [bins],
  );
  const columns: readonly Column<Requisition>[] = [
    { title: "Number", cell: (r) => <strong class="num">{r.number}</strong>, text: (r) => r.number },
    { title: "Part", cell: (r) => partLink(r.part), text: (r) => idOf(r.part) },
    { title: "Quantity", class: "right num", cell: (r) => decimal(r.quantity), text: (r) => r.quantity },
    { title: "Why", class: "wide", cell: (r) => r.reason, text: (r) => r.reason },
    { title: "Cost", class: "right num", cell: money, text: money },
    {
      title: "State",
      cell: (r) => <span class="pill">{requisitionWord(r.state)}</span>,
      text: (r) => requisitionWord(r.state),
    },
    {
      title: "Raised",
      cell: (r) => <Age at={r.createTime} />,
      text: (r) => utc(Date.parse(r.createTime ?? "")),
    },
    {
      title: "Next",
      cell: (r) => (
        <Actions
          resource={r}
          state={r.state}
          title={r.number}
          actions={REQUISITION_ACTIONS}
          choices={choices}
          onDone={() => query.reload()}
          onRefused={query.reload}
        />
      ),
    },
  ];
  const rows = query.data?.requisitions;
  if (query.error && !rows) return <Failed error={query.error} retry={query.reload} />;
  if (!rows) return <Skeleton />;
  if (!rows.length)
    return (
      <Empty title="Nothing is requested.">
        When free stock falls to a part's point of reorder, its requisition appears here.
      </Empty>
    );
  return (
    <Table
      noun="requisition"
      columns={columns}
      rows={rows}
      total={query.data?.totalSize ?? 0}
      keyOf={(r) => r.name}
    />
  );
}

const RESERVATION_COLUMNS: readonly Column<Reservation>[] = [
  { title: "Part", cell: (r) => partLink(r.part), text: (r) => idOf(r.part) },
  { title: "For", cell: (r) => <a href={`/work/${idOf(r.ticket)}`}>Ticket</a>, text: (r) => r.ticket },
  { title: "Equipment", class: "wide", cell: (r) => r.equipment, text: (r) => r.equipment },
  {
    title: "Quantity",
    class: "right num",
    cell: (r) => `${decimal(r.reservedQuantity)} of ${decimal(r.quantity)}`,
    text: (r) => r.reservedQuantity,
  },
  {
    title: "State",
    cell: (r) => <span class="pill">{reservationWord(r.state)}</span>,
    text: (r) => reservationWord(r.state),
  },
  { title: "Made", cell: (r) => <Age at={r.createTime} />, text: (r) => utc(Date.parse(r.createTime ?? "")) },
];

function Reservations({ part }: { part: string }) {
  const asked = { part: part && `parts/${part}`, pageSize: 500 };
  const query = useQuery((stop) => listReservations(asked, stop), `reservations ${part}`, ["supply_chain."]);
  const rows = query.data?.reservations;
  if (query.error && !rows) return <Failed error={query.error} retry={query.reload} />;
  if (!rows) return <Skeleton />;
  if (!rows.length)
    return <Empty title="Nothing is reserved.">A ticket reserves the spares its failure mode needs.</Empty>;
  return (
    <Table
      noun="reservation"
      columns={RESERVATION_COLUMNS}
      rows={rows}
      total={query.data?.totalSize ?? 0}
      keyOf={(r) => r.name}
    />
  );
}

/** Spare parts: what lies there, what is promised, what is on its way. */
export function StoresPage() {
  const { search } = useSearch();
  const params = new URLSearchParams(search);
  const part = params.get("part") ?? "";
  const view = VIEWS.find((v) => v.key === params.get("view"))?.key ?? "parts";
  return (
    <>
      <div class="page-head">
        <h1>Stores</h1>
        <nav class="tabs" aria-label="Stores">
          {VIEWS.map((v) => (
            <a
              key={v.key}
              href={`/stores${writeFilter(search, "view", v.key === "parts" ? [] : [v.key])}`}
              aria-current={v.key === view ? "page" : undefined}
            >
              {v.label}
            </a>
          ))}
        </nav>
        {part && (
          <a class="chip" href={`/stores${writeFilter(search, "part", [])}`}>
            Only {part}: show all
          </a>
        )}
      </div>
      {view === "parts" && <Parts part={part} />}
      {view === "requisitions" && <Requisitions part={part} />}
      {view === "reservations" && <Reservations part={part} />}
    </>
  );
}
