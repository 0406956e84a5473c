import { useMemo } from "preact/hooks";
import { useRoute } from "preact-iso";
import { readFilters, toggled, writeFilter } from "../address";
import { useSearch } from "../components/filters";
import { AlarmSeverity, AlarmStateText, SeverityMark, TicketStateText } from "../components/marks";
import { Health } from "../components/position";
import { Spares } from "../components/spares";
import { Empty, Failed, Skeleton } from "../components/states";
import { Time } from "../components/time";
import { Trend } from "../components/trend";
import {
  type Alarm,
  type Equipment,
  listAlarms,
  listSeries,
  listTickets,
  type SeriesInfo,
  type Ticket,
} from "../contracts";
import { overlayOf, seriesOf } from "../evidence";
import { duration, hours, hoursBetween, initial } from "../format";
import { clockOffset } from "../live";
import { classOf, freshness, healthOf, nameOf, stateOf } from "../machine_state";
import { machine, version } from "../points";
import { useQuery } from "../query";
import { equipment, worstAlarm } from "../store";
import { now } from "../ticking";
import { criticalityWord, idOf, isSuppressed, isUnacknowledged, sentence } from "../words";

interface Plotted {
  name: string;
  unit: string;
  aggregated: boolean;
  last: number;
}

/** Return every series of a machine: the historian's, and those that only just began. */
function useSeries(item: Equipment): {
  all: Plotted[] | undefined;
  lastTime: number;
  error: Error | undefined;
  retry: () => void;
} {
  const query = useQuery((stop) => listSeries({ equipment: item.tag, site: item.site }, stop), item.name);
  const live = machine(item.tag)?.series;
  const count = live?.size ?? 0;
  void version(item.tag).value;
  const all = useMemo(() => {
    if (!query.data && !count) return undefined;
    const known: Plotted[] = (query.data?.series ?? []).map((s: SeriesInfo) => ({
      name: s.series,
      unit: s.unit,
      aggregated: s.aggregated,
      last: Date.parse(s.lastTime ?? "") || 0,
    }));
    const fresh = [...(live?.values() ?? [])].filter((s) => !known.some((k) => k.name === s.name));
    return [...known, ...fresh.map(({ name, unit, aggregated }) => ({ name, unit, aggregated, last: 0 }))];
  }, [query.data, count]);
  return {
    all,
    lastTime: Math.max(0, ...(all ?? []).map((s) => s.last)),
    error: query.error,
    retry: query.reload,
  };
}

function Head({ item }: { item: Equipment }) {
  void version(item.tag).value;
  const alarm = worstAlarm.value.get(item.tag);
  const { stale, age } = freshness(item.tag, now.value + clockOffset.value);
  const remaining = alarm?.advisory?.remainingLife;
  return (
    <div class="page-head equipment-head">
      <h1>
        {item.tag} <span class="quiet">{nameOf(item)}</span>
      </h1>
      <div class="facts">
        <span class="with-mark">
          {alarm && (
            <SeverityMark
              severity={alarm.severity}
              unacknowledged={isUnacknowledged(alarm.state)}
              suppressed={isSuppressed(alarm.state)}
            />
          )}
          <span class={alarm ? "strong" : ""}>{stateOf(alarm).text}</span>
        </span>
        <Health value={healthOf(item)} />
        {remaining && (
          <span>
            <span class="quiet">Time left </span>
            <strong class="num">{hours(remaining.medianHours)}</strong>
            <span class="quiet num"> ({hoursBetween(remaining.lowerHours, remaining.upperHours)})</span>
          </span>
        )}
        {nameOf(item).toLowerCase() !== classOf(item) && <span class="quiet">{initial(classOf(item))}</span>}
        {item.criticality !== "CRITICALITY_UNSPECIFIED" && (
          <span class="quiet">Criticality {criticalityWord(item.criticality).toLowerCase()}</span>
        )}
        <span class={stale ? "strong" : "quiet"}>
          {!Number.isFinite(age) ? "No live data yet" : stale ? `Silent for ${duration(age)}` : "Live"}
        </span>
      </div>
    </div>
  );
}

interface ChartsProps {
  item: Equipment;
  series: readonly Plotted[];
  lastTime: number;
  alarms: readonly Alarm[];
  tickets: readonly Ticket[];
}

function Charts({ item, series, lastTime, alarms, tickets }: ChartsProps) {
  const newest = Math.max(lastTime, machine(item.tag)?.lastTime ?? 0);
  const overlays = useMemo(
    () => new Map(series.map((s) => [s.name, overlayOf(s.name, alarms, tickets, newest)])),
    [series, alarms, tickets, newest],
  );
  return (
    <div class="charts">
      {series.map((s) => (
        <Trend
          key={s.name}
          tag={item.tag}
          site={item.site}
          series={s}
          lastTime={lastTime}
          title={TITLES[s.name] ?? s.name.replace("/", ", ").replaceAll("_", " ")}
          overlay={overlays.get(s.name) ?? {}}
        />
      ))}
    </div>
  );
}

const TITLES: Record<string, string> = {
  health: "Health",
  remaining_life_hours: "Remaining life",
  score: "Anomaly score",
};
const isCondition = (s: Plotted): boolean => s.name in TITLES;
const isFeature = (s: Plotted): boolean => !s.aggregated && !isCondition(s);

/** Features are many: those an alarm speaks of, and those asked for, are drawn. */
function Features({ all, ...rest }: Omit<ChartsProps, "series"> & { all: readonly Plotted[] }) {
  const { search, change } = useSearch();
  const features = all.filter(isFeature);
  const asked = readFilters(search, ["feature"]).feature;
  const suspected = new Set(
    rest.alarms
      .filter((a) => a.state !== "ALARM_STATE_NORMAL")
      .flatMap((a) => (a.advisory?.evidence?.features ?? []).map(seriesOf)),
  );
  const usual = features.filter((f) => f.name.endsWith("/velocity_rms"));
  const shown = features.filter((f) =>
    asked.length ? asked.includes(f.name) : suspected.has(f.name) || (!suspected.size && usual.includes(f)),
  );
  const channels = [...new Set(features.map((f) => f.name.split("/")[0]!))];
  const pick = (name: string): void =>
    change(writeFilter(search, "feature", toggled(asked.length ? asked : shown.map((s) => s.name), name)));
  if (!features.length) return null;
  return (
    <section class="section">
      <h2>Features</h2>
      <details class="picker">
        <summary>
          {shown.length} of {features.length} drawn: choose
        </summary>
        {channels.map((channel) => (
          <div key={channel} class="filter" role="group" aria-label={channel}>
            <span class="filter-label">{channel}</span>
            {features
              .filter((f) => f.name.startsWith(`${channel}/`))
              .map((f) => (
                <button
                  key={f.name}
                  type="button"
                  class="chip"
                  aria-pressed={shown.includes(f)}
                  onClick={() => pick(f.name)}
                >
                  {f.name.slice(channel.length + 1).replaceAll("_", " ")}
                </button>
              ))}
          </div>
        ))}
      </details>
      <Charts {...rest} series={shown} />
    </section>
  );
}

function Records({ alarms, tickets }: { alarms: readonly Alarm[]; tickets: readonly Ticket[] }) {
  return (
    <div class="columns">
      <section class="section">
        <h2>Alarms</h2>
        {alarms.length ? (
          <ul class="rows">
            {alarms.map((a) => (
              <li key={a.name}>
                <AlarmSeverity alarm={a} />
                <span class="grow">{sentence(a.summary, a.equipment)}</span>
                <AlarmStateText alarm={a} />
                <Time at={a.raiseTime} seconds />
              </li>
            ))}
          </ul>
        ) : (
          <Empty title="No alarm so far." />
        )}
      </section>
      <section class="section">
        <h2>Work</h2>
        {tickets.length ? (
          <ul class="rows">
            {tickets.map((t) => (
              <li key={t.name}>
                <a href={`/work/${idOf(t.name)}`}>{t.number}</a>
                <span class="grow">{t.title}</span>
                <TicketStateText state={t.state} />
              </li>
            ))}
          </ul>
        ) : (
          <Empty title="No ticket so far.">The first alarm opens one.</Empty>
        )}
      </section>
    </div>
  );
}

function Page({ item }: { item: Equipment }) {
  const { all, lastTime, error, retry } = useSeries(item);
  const asked = { equipment: item.tag, site: item.site, pageSize: 20 };
  const alarms = useQuery((stop) => listAlarms(asked, stop), `alarms ${item.name}`, [
    "maintenance.alarm.",
    "maintenance.ticket.",
  ]).data?.alarms;
  const tickets = useQuery((stop) => listTickets(asked, stop), `tickets ${item.name}`, [
    "maintenance.ticket.",
  ]).data?.tickets;
  const rest = { item, lastTime, alarms: alarms ?? NO_ALARMS, tickets: tickets ?? NO_TICKETS };
  const measured = useMemo(() => (all ?? []).filter((s) => s.aggregated), [all]);
  const condition = useMemo(() => (all ?? []).filter(isCondition), [all]);
  return (
    <>
      <Head item={item} />
      {error && <Failed error={error} retry={retry} />}
      {!all && !error && <Skeleton lines={12} />}
      {all?.length === 0 && (
        <Empty title="Nothing was measured yet.">Trends appear with the first block of this machine.</Empty>
      )}
      {condition.length > 0 && (
        <section class="section">
          <h2>Condition</h2>
          <Charts {...rest} series={condition} />
        </section>
      )}
      {measured.length > 0 && (
        <section class="section">
          <h2>Measured</h2>
          <Charts {...rest} series={measured} />
        </section>
      )}
      {all && <Features {...rest} all={all} />}
      <Records alarms={rest.alarms} tickets={rest.tickets} />
      <section class="section">
        <h2>Spares</h2>
        <Spares tag={item.tag} equipmentClass={item.equipmentClass} site={item.site} />
      </section>
    </>
  );
}

const NO_ALARMS: readonly Alarm[] = [];
const NO_TICKETS: readonly Ticket[] = [];

/** One machine: how it is, what it measured, what happened to it and what it needs. */
export function EquipmentPage() {
  const tag = decodeURIComponent(useRoute().params["tag"] ?? "");
  const item = equipment.value?.find((e) => e.tag === tag);
  if (!equipment.value) return <Skeleton lines={12} />;
  if (!item)
    return (
      <Empty title={`No machine is called ${tag}.`}>
        <a href="/">Show the plant</a>
      </Empty>
    );
  return <Page key={item.name} item={item} />;
}
