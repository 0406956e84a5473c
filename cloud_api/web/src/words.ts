import {
  type AlarmState,
  type RequisitionState,
  type ReservationState,
  type Severity,
  SeverityValues,
  type TicketState,
} from "./contracts";
import { initial } from "./format";

/** Return the word of an enum's value: `TICKET_STATE_IN_PROGRESS` after `TICKET_STATE_` is `In progress`. */
export function word(value: string, prefix: string): string {
  const text = value.startsWith(prefix) ? value.slice(prefix.length) : value;
  return initial(text.toLowerCase().replaceAll("_", " "));
}

export const severityWord = (value: Severity): string => word(value, "SEVERITY_");
export const alarmStateWord = (value: AlarmState): string => word(value, "ALARM_STATE_");
export const ticketStateWord = (value: TicketState): string => word(value, "TICKET_STATE_");
export const priorityWord = (value: string): string => word(value, "TICKET_PRIORITY_");
export const failureModeWord = (value: string): string => word(value, "FAILURE_MODE_");
export const slaWord = (value: string): string => word(value, "SLA_STATE_");
export const criticalityWord = (value: string): string => word(value, "CRITICALITY_");
export const reservationWord = (value: ReservationState): string => word(value, "RESERVATION_STATE_");
export const requisitionWord = (value: RequisitionState): string => word(value, "REQUISITION_STATE_");

/** 0 for none to 4 for critical. */
export const severityRank = (value: Severity): number => Math.max(0, SeverityValues.indexOf(value));

/** The name of a severity's colour tokens. */
export const tone = (severity: Severity): string => severity.slice("SEVERITY_".length).toLowerCase();

/** The states in which an alarm asks for something, or may again. */
export const OPEN_ALARM_STATES: readonly AlarmState[] = [
  "ALARM_STATE_UNACKNOWLEDGED",
  "ALARM_STATE_ACKNOWLEDGED",
  "ALARM_STATE_RETURNED_UNACKNOWLEDGED",
  "ALARM_STATE_SHELVED",
  "ALARM_STATE_OUT_OF_SERVICE",
];

/** Silent for a while: on purpose, or because the machine is being repaired. */
export const isSuppressed = (state: AlarmState): boolean =>
  state === "ALARM_STATE_SHELVED" || state === "ALARM_STATE_OUT_OF_SERVICE";

export const isUnacknowledged = (state: AlarmState): boolean =>
  state === "ALARM_STATE_UNACKNOWLEDGED" || state === "ALARM_STATE_RETURNED_UNACKNOWLEDGED";

/** The states in which a ticket still asks for work. */
export const OPEN_TICKET_STATES: readonly TicketState[] = [
  "TICKET_STATE_REQUESTED",
  "TICKET_STATE_APPROVED",
  "TICKET_STATE_PLANNED",
  "TICKET_STATE_SCHEDULED",
  "TICKET_STATE_IN_PROGRESS",
  "TICKET_STATE_ON_HOLD",
  "TICKET_STATE_COMPLETED",
  "TICKET_STATE_VERIFIED",
];

/** Return the name of who did something: `users/jo` is jo, `service:stream-processor` the processor. */
export const person = (actor: string): string =>
  actor.replace(/^(users\/|service:)/, "").replaceAll("-", " ");

/** Return a sentence without the tag before it, where the tag stands beside it anyway. */
export function sentence(summary: string, tag: string): string {
  return summary.startsWith(`${tag}: `) ? initial(summary.slice(tag.length + 2)) : summary;
}

/** `tickets/abc` without its collection. */
export const idOf = (name: string): string => name.slice(name.indexOf("/") + 1);
