import type { Alarm, Severity, SlaClock, TicketState } from "../contracts";
import { duration } from "../format";
import {
  alarmStateWord,
  isSuppressed,
  isUnacknowledged,
  severityWord,
  slaWord,
  ticketStateWord,
  tone,
} from "../words";
import { now } from "../ticking";

/** Shapes of ISA-101: the colour never speaks alone. */
const SHAPES: Record<Severity, string> = {
  SEVERITY_UNSPECIFIED: "",
  SEVERITY_LOW: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2z",
  SEVERITY_MEDIUM: "M8 1l7 7-7 7-7-7z",
  SEVERITY_HIGH: "M8 1.500L15.500 14.500H.500z",
  SEVERITY_CRITICAL: "M2 2h12v12H2z",
};

interface MarkProps {
  severity: Severity;
  /** Blinks slowly until someone has seen it. */
  unacknowledged?: boolean;
  /** Hollow: shelved or out of service. */
  suppressed?: boolean;
}

/** The symbol of a severity, named for those who do not see it. */
export function SeverityMark({ severity, unacknowledged, suppressed }: MarkProps) {
  if (!SHAPES[severity]) return null;
  const classes = [
    "mark",
    `mark-${tone(severity)}`,
    unacknowledged && "mark-blink",
    suppressed && "mark-hollow",
  ];
  return (
    <svg
      class={classes.filter(Boolean).join(" ")}
      viewBox="0 0 16 16"
      role="img"
      aria-label={severityWord(severity)}
    >
      <path d={SHAPES[severity]} />
    </svg>
  );
}

/** Symbol and word of an alarm's severity. */
export function AlarmSeverity({ alarm }: { alarm: Alarm }) {
  return (
    <span class="with-mark">
      <SeverityMark
        severity={alarm.severity}
        unacknowledged={isUnacknowledged(alarm.state)}
        suppressed={isSuppressed(alarm.state)}
      />
      <span aria-hidden="true">{severityWord(alarm.severity)}</span>
    </span>
  );
}

export function AlarmStateText({ alarm }: { alarm: Alarm }) {
  return <span class={isUnacknowledged(alarm.state) ? "strong" : ""}>{alarmStateWord(alarm.state)}</span>;
}

export function TicketStateText({ state }: { state: TicketState }) {
  return <span class="pill">{ticketStateWord(state)}</span>;
}

/** How long a promise still has, or by how much it was broken. */
export function Sla({ clock }: { clock: SlaClock | undefined }) {
  if (!clock?.dueTime) return <span class="quiet">none</span>;
  const left = Date.parse(clock.dueTime) - now.value;
  if (clock.state === "SLA_STATE_RUNNING" && left >= 0) return <span>{duration(left)} left</span>;
  if (clock.state === "SLA_STATE_RUNNING" || clock.state === "SLA_STATE_BREACHED")
    return (
      <span class="with-mark">
        <SeverityMark severity="SEVERITY_HIGH" />
        <span class="strong">{clock.stopTime ? "Breached" : `Overdue by ${duration(-left)}`}</span>
      </span>
    );
  return <span>{slaWord(clock.state)}</span>;
}
