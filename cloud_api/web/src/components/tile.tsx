import { useEffect } from "preact/hooks";
import type { Equipment } from "../contracts";
import { duration, number, unitText } from "../format";
import { clockOffset } from "../live";
import { freshness, healthOf, keySeriesOf, nameOf, shortName, stateOf } from "../machine_state";
import { type LiveSeries, machine, version } from "../points";
import { prefillMachine } from "../prefill";
import { worstAlarm } from "../store";
import { now } from "../ticking";
import { isSuppressed, isUnacknowledged, tone } from "../words";
import { SeverityMark } from "./marks";
import { Health } from "./position";
import { Sparkline } from "./sparkline";

function Value({ series, stale }: { series: LiveSeries; stale: boolean }) {
  return (
    <div class="value-row">
      <dt title={series.name}>{shortName(series.name)}</dt>
      <dd>
        <Sparkline ring={series.ring} />
        <span class={stale ? "value num stale" : "value num"}>{number(series.ring.lastValue)}</span>
        <span class="unit">{unitText(series.unit)}</span>
      </dd>
    </div>
  );
}

/** Lines that keep their place until values come. */
function Waiting() {
  return (
    <>
      {[0, 1, 2].map((i) => (
        <div key={i} class="value-row">
          <dt class="quiet">–</dt>
          <dd />
        </div>
      ))}
    </>
  );
}

function Fresh({ stale, age, lastTime }: { stale: boolean; age: number; lastTime: number }) {
  if (Number.isFinite(age))
    return <span class={stale ? "strong" : "quiet"}>{stale ? `Silent for ${duration(age)}` : "Live"}</span>;
  return <span class="quiet">{lastTime ? "Waiting for live data" : "No data yet"}</span>;
}

/** One machine: what it is, how it is, what it says, and how old that is. */
export function Tile({ equipment }: { equipment: Equipment }) {
  const { tag } = equipment;
  void version(tag).value;
  useEffect(() => prefillMachine(equipment), [tag]);
  const alarm = worstAlarm.value.get(tag);
  const state = stateOf(alarm);
  const live = machine(tag);
  const { stale, age } = freshness(tag, now.value + clockOffset.value);
  const values = keySeriesOf([...(live?.series.values() ?? [])]);
  return (
    <a
      class={alarm && !isSuppressed(alarm.state) ? `tile tile-${tone(alarm.severity)}` : "tile"}
      href={`/equipment/${encodeURIComponent(tag)}`}
    >
      <div class="tile-head">
        <strong class="tile-tag">{tag}</strong>
        <span class="tile-name quiet">{nameOf(equipment)}</span>
      </div>
      <div class="tile-state">
        {alarm ? (
          <span class="with-mark">
            <SeverityMark
              severity={alarm.severity}
              unacknowledged={isUnacknowledged(alarm.state)}
              suppressed={isSuppressed(alarm.state)}
            />
            <span class="strong">{state.text}</span>
          </span>
        ) : (
          <span class="quiet">{state.text}</span>
        )}
        <Fresh stale={stale} age={age} lastTime={live?.lastTime ?? 0} />
      </div>
      <Health value={healthOf(equipment)} />
      <dl class="values">
        {values.length ? values.map((s) => <Value key={s.name} series={s} stale={stale} />) : <Waiting />}
      </dl>
    </a>
  );
}
