import { Empty, Failed, Skeleton } from "../components/states";
import { type Column, Table } from "../components/table";
import { Time } from "../components/time";
import { listDeadLetters, type SetAsideMessage } from "../contracts";
import { utc } from "../format";
import { useQuery } from "../query";
import { word } from "../words";

const bytes = (m: SetAsideMessage): number => Math.floor((m.payload.replace(/=+$/, "").length * 3) / 4);
const reason = (m: SetAsideMessage): string => word(m.reason.toUpperCase(), "DEAD_LETTER_REASON_");

const COLUMNS: readonly Column<SetAsideMessage>[] = [
  {
    title: "Received",
    cell: (m) => <Time at={m.receiveTime} seconds />,
    text: (m) => utc(Date.parse(m.receiveTime ?? "")),
  },
  { title: "Reason", cell: (m) => <strong>{reason(m)}</strong>, text: reason },
  { title: "What was wrong", class: "wide", cell: (m) => m.detail, text: (m) => m.detail },
  { title: "Topic", cell: (m) => <code>{m.topic}</code>, text: (m) => m.topic },
  { title: "Bytes", class: "right num", cell: (m) => bytes(m), text: (m) => String(bytes(m)) },
];

/** Messages the flow could not use: kept with the reason, never lost. */
export function SetAsidePage() {
  const query = useQuery((stop) => listDeadLetters({ pageSize: 200 }, stop), "dead letters");
  const rows = query.data?.deadLetters;
  return (
    <>
      <div class="page-head">
        <h1>Set aside</h1>
        <p class="quiet">Messages the flow could not use, with the reason. The flow goes on without them.</p>
        <button type="button" class="button" onClick={query.reload}>
          Read again
        </button>
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty title="Every message could be used.">
          What cannot be decoded, has no birth or an impossible time appears here with its topic and bytes.
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <Table
          noun="message"
          columns={COLUMNS}
          rows={rows}
          total={query.data?.totalSize ?? 0}
          keyOf={(m) => m.name}
        />
      )}
    </>
  );
}
