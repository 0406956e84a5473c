import { useEffect } from "preact/hooks";
import { SeverityMark } from "../components/marks";
import { Age } from "../components/time";
import type { Alarm } from "../contracts";
import { acknowledge, unacknowledged } from "../store";
import { complain } from "../toast";
import { idOf, sentence, severityWord, tone } from "../words";

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.closest("input, textarea, select, dialog") !== null);

function useKey(alarm: Alarm | undefined): void {
  useEffect(() => {
    if (!alarm) return;
    const pressed = (event: KeyboardEvent): void => {
      if (event.key !== "a" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))
        return;
      event.preventDefault();
      void acknowledge(alarm).catch(complain);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [alarm]);
}

/** The most urgent alarm nobody has acknowledged; nothing when there is none. */
export function AlarmBand() {
  const waiting = unacknowledged.value;
  const alarm = waiting[0];
  useKey(alarm);
  if (!alarm) return null;
  return (
    <section class={`band band-${tone(alarm.severity)}`} aria-label="Highest unacknowledged alarm">
      <SeverityMark severity={alarm.severity} unacknowledged />
      <strong class="band-severity">{severityWord(alarm.severity)}</strong>
      <a class="band-equipment" href={`/equipment/${encodeURIComponent(alarm.equipment)}`}>
        {alarm.equipment}
      </a>
      <a class="band-summary" href={alarm.ticket ? `/work/${idOf(alarm.ticket)}` : "/alarms"}>
        {sentence(alarm.summary, alarm.equipment)}
      </a>
      <span class="band-age quiet">
        <Age at={alarm.createTime} />
      </span>
      {waiting.length > 1 && (
        <a class="band-more num" href="/alarms?state=unacknowledged">
          +{waiting.length - 1} more
        </a>
      )}
      <button
        type="button"
        class="button band-button"
        onClick={() => void acknowledge(alarm).catch(complain)}
      >
        Acknowledge <kbd>A</kbd>
      </button>
    </section>
  );
}
