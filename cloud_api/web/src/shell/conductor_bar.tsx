import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useSearch } from "../components/filters";
import { Icon } from "../components/icons";
import {
  conductor,
  followers,
  goLive,
  pause,
  readConductor,
  showRange,
  SPANS,
  writeConductor,
} from "../conductor";
import { clock, dateTime, utc } from "../format";

/** Keep the address and the conductor in step, so that what is seen can be sent. */
function useAddress(): void {
  const { search, change } = useSearch();
  const { path } = useLocation();
  const state = conductor.value;
  const following = followers.value > 0;
  useEffect(() => {
    const asked = readConductor(search);
    if (asked) conductor.value = asked;
  }, [path]);
  useEffect(() => {
    if (!following) return;
    const wanted = writeConductor(search, state);
    if (wanted !== search) change(wanted);
  }, [state, following, path]);
}

/** `yyyy-mm-ddThh:mm` in the local zone, as an input of a time wants it. */
const local = (ms: number): string => dateTime(ms).replace(" ", "T");

function Range({ start, end }: { start: number; end: number }) {
  const set = (from: number, to: number): void => {
    if (from < to) showRange(from, to);
  };
  return (
    <span class="conductor-range" title={`${utc(start)} to ${utc(end)}`}>
      <input
        type="datetime-local"
        aria-label="From"
        value={local(start)}
        onChange={(e) => set(Date.parse(e.currentTarget.value), end)}
      />
      <span aria-hidden="true">–</span>
      <input
        type="datetime-local"
        aria-label="To"
        value={local(end)}
        onChange={(e) => set(start, Date.parse(e.currentTarget.value))}
      />
    </span>
  );
}

/** The one time every chart follows; hidden where there is no chart. */
export function ConductorBar() {
  useAddress();
  const state = conductor.value;
  if (!followers.value) return <div class="conductor" />;
  return (
    <div class="conductor" role="group" aria-label="Time of the charts">
      {state.mode === "range" ? (
        <Range start={state.start} end={state.end} />
      ) : (
        <select
          class="conductor-span"
          aria-label="How far back"
          value={String(state.span)}
          onChange={(e) => goLive(Number(e.currentTarget.value))}
        >
          {SPANS.map((s) => (
            <option key={s.key} value={String(s.span)}>
              Last {s.label}
            </option>
          ))}
        </select>
      )}
      <button
        type="button"
        class="button conductor-mode"
        onClick={() => (state.mode === "live" ? pause() : goLive())}
        title={
          state.mode === "live" ? "Live: hold the charts still" : `Held at ${clock(Date.now())}: back to live`
        }
      >
        {state.mode === "live" ? (
          <>
            <span class="live-dot" aria-hidden="true" /> Live
          </>
        ) : (
          <>
            <Icon name="play" /> {state.mode === "paused" ? "Paused" : "To live"}
          </>
        )}
      </button>
    </div>
  );
}
