import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { readFilters } from "../address";
import { ActionDialog } from "../components/dialog";
import { FilterBar, useSearch } from "../components/filters";
import { AlarmSeverity, AlarmStateText } from "../components/marks";
import { Empty, Failed, Skeleton } from "../components/states";
import { type Column, Table } from "../components/table";
import { Age, Time } from "../components/time";
import { type Alarm, type AlarmState, listAlarms, shelveAlarm, unshelveAlarm } from "../contracts";
import { dateTime, utc } from "../format";
import type { Field } from "../lifecycle";
import { useQuery } from "../query";
import { acknowledge, equipment, readAlarms } from "../store";
import { announce, complain } from "../toast";
import {
  alarmStateWord,
  failureModeWord,
  idOf,
  isUnacknowledged,
  OPEN_ALARM_STATES,
  person,
  sentence,
  severityRank,
  severityWord,
} from "../words";

const STATES: Record<string, readonly AlarmState[]> = {
  unacknowledged: ["ALARM_STATE_UNACKNOWLEDGED", "ALARM_STATE_RETURNED_UNACKNOWLEDGED"],
  acknowledged: ["ALARM_STATE_ACKNOWLEDGED"],
  shelved: ["ALARM_STATE_SHELVED"],
  "out-of-service": ["ALARM_STATE_OUT_OF_SERVICE"],
  normal: ["ALARM_STATE_NORMAL"],
};

const FILTERS = [
  {
    name: "state",
    label: "State",
    choices: [
      { value: "unacknowledged", label: "Unacknowledged" },
      { value: "acknowledged", label: "Acknowledged" },
      { value: "shelved", label: "Shelved" },
      { value: "out-of-service", label: "Out of service" },
      { value: "normal", label: "Back to normal" },
    ],
  },
  {
    name: "severity",
    label: "Severity",
    choices: ["critical", "high", "medium", "low"].map((value) => ({
      value,
      label: severityWord(`SEVERITY_${value.toUpperCase()}` as Alarm["severity"]),
    })),
  },
] as const;

const SHELVE_FIELDS: readonly Field[] = [
  { name: "reason", label: "Reason", kind: "text", required: true },
  { name: "expireTime", label: "Until", kind: "time", required: true },
];

/** A shift: what most alarms are shelved for. */
const SHELVED_HOURS = 8;
const inSomeHours = (): string => dateTime(Date.now() + SHELVED_HOURS * 3_600_000).replace(" ", "T");

async function shelve(list: readonly Alarm[], values: Record<string, string>): Promise<void> {
  for (const { name, etag } of list)
    await shelveAlarm({ name, etag, reason: values["reason"], expireTime: values["expireTime"] });
}

const ticketLink = (alarm: Alarm) =>
  alarm.ticket ? <a href={`/work/${idOf(alarm.ticket)}`}>Ticket</a> : <span class="quiet">–</span>;

const COLUMNS: readonly Column<Alarm>[] = [
  { title: "Severity", cell: (a) => <AlarmSeverity alarm={a} />, text: (a) => severityWord(a.severity) },
  {
    title: "Equipment",
    cell: (a) => <a href={`/equipment/${encodeURIComponent(a.equipment)}`}>{a.equipment}</a>,
    text: (a) => a.equipment,
  },
  {
    title: "What is wrong",
    class: "wide",
    cell: (a) => sentence(a.summary, a.equipment),
    text: (a) => a.summary,
  },
  {
    title: "Failure mode",
    cell: (a) => failureModeWord(a.failureMode),
    text: (a) => failureModeWord(a.failureMode),
  },
  { title: "State", cell: (a) => <StateCell alarm={a} />, text: (a) => alarmStateWord(a.state) },
  {
    title: "Raised",
    cell: (a) => <Time at={a.raiseTime} seconds />,
    text: (a) => utc(Date.parse(a.raiseTime ?? "")),
  },
  { title: "Work", cell: ticketLink, text: (a) => a.ticket },
];

function StateCell({ alarm }: { alarm: Alarm }) {
  return (
    <>
      <AlarmStateText alarm={alarm} />
      {alarm.state === "ALARM_STATE_SHELVED" && (
        <span class="quiet block">
          {alarm.shelveReason}, until <Time at={alarm.shelveExpireTime} />
        </span>
      )}
      {alarm.state === "ALARM_STATE_ACKNOWLEDGED" && alarm.acknowledgedBy && (
        <span class="quiet block">
          {person(alarm.acknowledgedBy)}, <Age at={alarm.acknowledgeTime} />
        </span>
      )}
    </>
  );
}

function useAlarms() {
  const { search } = useSearch();
  const filters = readFilters(search, ["state", "severity", "equipment"]);
  const states = filters.state.flatMap((s) => STATES[s] ?? []);
  const asked = {
    states: states.length ? states : [...OPEN_ALARM_STATES],
    equipment: filters.equipment[0] ?? "",
  };
  const query = useQuery((stop) => listAlarms({ ...asked, pageSize: 500 }, stop), JSON.stringify(asked), [
    "maintenance.",
  ]);
  const wanted = (a: Alarm): boolean =>
    !filters.severity.length || filters.severity.includes(severityWord(a.severity).toLowerCase());
  const rows = query.data?.alarms
    .filter(wanted)
    .sort(
      (a, b) =>
        severityRank(b.severity) - severityRank(a.severity) ||
        (b.raiseTime ?? "").localeCompare(a.raiseTime ?? ""),
    );
  return {
    query,
    rows,
    filtered: states.length > 0 || filters.severity.length > 0 || filters.equipment.length > 0,
  };
}

/** Everything that asks for a response, the most urgent first. */
export function AlarmsPage() {
  const { query, rows, filtered } = useAlarms();
  const { route } = useLocation();
  const [shelving, setShelving] = useState<readonly Alarm[]>();
  const all = async (list: readonly Alarm[], act: (alarm: Alarm) => Promise<unknown>): Promise<void> => {
    try {
      for (const alarm of list) await act(alarm);
    } catch (error) {
      complain(error);
    }
    query.reload();
    void readAlarms();
  };
  const take = (list: readonly Alarm[]): void =>
    void all(
      list.filter((a) => isUnacknowledged(a.state)),
      acknowledge,
    );
  const tags = [...new Set(equipment.value?.map((e) => e.tag))].map((value) => ({ value, label: value }));
  const pressed = (key: string, list: readonly Alarm[]): boolean => {
    if (key === "a") take(list);
    else if (key === "s") setShelving(list.filter((a) => a.state !== "ALARM_STATE_SHELVED"));
    else return false;
    return true;
  };
  const bulk = (list: readonly Alarm[], clear: () => void) => (
    <>
      <button
        type="button"
        class="button"
        onClick={() => (take(list), clear())}
        disabled={!list.some((a) => isUnacknowledged(a.state))}
      >
        Acknowledge <kbd>A</kbd>
      </button>
      <button
        type="button"
        class="button"
        onClick={() => setShelving(list.filter((a) => a.state !== "ALARM_STATE_SHELVED"))}
      >
        Shelve… <kbd>S</kbd>
      </button>
      {list.some((a) => a.state === "ALARM_STATE_SHELVED") && (
        <button
          type="button"
          class="button"
          onClick={() => {
            void all(
              list.filter((a) => a.state === "ALARM_STATE_SHELVED"),
              ({ name, etag }) => unshelveAlarm({ name, etag }),
            );
            clear();
          }}
        >
          Unshelve
        </button>
      )}
    </>
  );
  return (
    <>
      <div class="page-head">
        <h1>Alarms</h1>
        <FilterBar
          filters={[
            ...FILTERS,
            ...(tags.length > 1 && tags.length <= 12
              ? [{ name: "equipment", label: "Equipment", choices: tags }]
              : []),
          ]}
        />
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty title={filtered ? "No alarm is like that." : "No alarm is active."}>
          {filtered ? (
            <a href="/alarms">Show every active alarm</a>
          ) : (
            "When a machine leaves its normal state, its alarm appears here with what is wrong and since when."
          )}
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <Table
          noun="alarm"
          columns={COLUMNS}
          rows={rows}
          total={query.data?.totalSize ?? 0}
          keyOf={(a) => a.name}
          onOpen={(a) =>
            route(a.ticket ? `/work/${idOf(a.ticket)}` : `/equipment/${encodeURIComponent(a.equipment)}`)
          }
          onKey={pressed}
          bulk={bulk}
        />
      )}
      {shelving && shelving.length > 0 && (
        <ActionDialog
          title={
            shelving.length === 1
              ? `Shelve the alarm of ${shelving[0]!.equipment}`
              : `Shelve ${shelving.length} alarms`
          }
          warning="A shelved alarm is silent until the time you set; then it asks again."
          confirm="Shelve"
          fields={SHELVE_FIELDS}
          initial={{ expireTime: inSomeHours() }}
          draft={`shelve.${shelving.map((a) => a.name).join()}`}
          onRun={async (values) => {
            await shelve(shelving, values);
            announce("Shelved", "polite");
            query.reload();
            await readAlarms();
          }}
          onClose={() => setShelving(undefined)}
        />
      )}
    </>
  );
}
