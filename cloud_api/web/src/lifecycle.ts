import {
  approveRequisition,
  approveTicket,
  cancelRequisition,
  cancelTicket,
  closeTicket,
  completeTicket,
  holdTicket,
  orderRequisition,
  planTicket,
  receiveRequisition,
  rejectTicket,
  type Requisition,
  type RequisitionState,
  resumeTicket,
  scheduleTicket,
  startTicket,
  type Ticket,
  type TicketState,
  verifyTicket,
} from "./contracts";

/** What a person must say with an action. */
export interface Field {
  name: string;
  label: string;
  kind: "line" | "text" | "time" | "failureMode" | "bin" | "choice";
  required: boolean;
  /** Of the kind `choice`. */
  choices?: readonly { value: string; label: string }[];
  /** What is allowed, in a few words. */
  hint?: string;
}

/** One step of a life cycle, with the states it may be taken from. */
export interface Action<Resource, State> {
  label: string;
  /** What it is called once done. */
  done: string;
  from: readonly State[];
  fields: readonly Field[];
  /** Cannot be taken back: asks once, with the name of the thing. */
  final?: boolean;
  primary?: boolean;
  /** What will come of it: asks once, with these words. */
  consequence?: (resource: Resource) => string;
  /** What who takes it needs, as `Call.scope` says. */
  scope?: string;
  /** Why this very thing may not take it just now; empty when it may. */
  blocked?: (resource: Resource) => string;
  /** Whether this very thing may take it. */
  only?: (resource: Resource) => boolean;
  run: (resource: Resource, values: Record<string, string>) => Promise<Resource>;
}

const base = (r: { name: string; etag: string }): { name: string; etag: string } => ({
  name: r.name,
  etag: r.etag,
});
const reason: Field = { name: "reason", label: "Reason", kind: "text", required: true };

const schedule: readonly Field[] = [
  { name: "scheduledStartTime", label: "Start", kind: "time", required: true },
  { name: "assignee", label: "Who does it", kind: "line", required: true },
];

const scheduled = (t: Ticket, v: Record<string, string>): Promise<Ticket> =>
  scheduleTicket({ ...base(t), scheduledStartTime: v["scheduledStartTime"], assignee: v["assignee"] });

/** The steps of a work order, in the order of its life. */
export const TICKET_ACTIONS: readonly Action<Ticket, TicketState>[] = [
  {
    label: "Approve",
    done: "approved",
    from: ["TICKET_STATE_REQUESTED"],
    fields: [],
    primary: true,
    run: (t) => approveTicket(base(t)),
  },
  {
    label: "Plan",
    done: "planned",
    from: ["TICKET_STATE_APPROVED"],
    fields: [],
    primary: true,
    run: (t) => planTicket(base(t)),
  },
  {
    label: "Schedule",
    done: "scheduled",
    from: ["TICKET_STATE_PLANNED"],
    primary: true,
    fields: schedule,
    run: scheduled,
  },
  {
    label: "Start",
    done: "started",
    from: ["TICKET_STATE_SCHEDULED"],
    fields: [],
    primary: true,
    run: (t) => startTicket(base(t)),
  },
  {
    // An emergency need not wait for a plan or a date.
    label: "Start at once",
    done: "started",
    from: ["TICKET_STATE_APPROVED", "TICKET_STATE_PLANNED"],
    fields: [],
    only: (t) => t.priority === "TICKET_PRIORITY_EMERGENCY",
    run: (t) => startTicket(base(t)),
  },
  {
    label: "Reschedule",
    done: "rescheduled",
    from: ["TICKET_STATE_SCHEDULED"],
    fields: schedule,
    run: scheduled,
  },
  {
    label: "Complete",
    done: "completed",
    from: ["TICKET_STATE_IN_PROGRESS"],
    primary: true,
    fields: [
      { name: "resolution", label: "What was done", kind: "text", required: true },
      { name: "foundFailureMode", label: "What was really wrong", kind: "failureMode", required: false },
    ],
    run: (t, v) =>
      completeTicket({
        ...base(t),
        resolution: v["resolution"],
        foundFailureMode: (v["foundFailureMode"] || undefined) as Ticket["foundFailureMode"] | undefined,
      }),
  },
  {
    label: "Hold",
    done: "put on hold",
    from: ["TICKET_STATE_IN_PROGRESS"],
    fields: [reason],
    run: (t, v) => holdTicket({ ...base(t), reason: v["reason"] }),
  },
  {
    label: "Resume",
    done: "resumed",
    from: ["TICKET_STATE_ON_HOLD"],
    fields: [],
    primary: true,
    run: (t) => resumeTicket(base(t)),
  },
  {
    label: "Verify",
    done: "verified",
    from: ["TICKET_STATE_COMPLETED"],
    fields: [],
    primary: true,
    run: (t) => verifyTicket(base(t)),
  },
  {
    label: "Close",
    done: "closed",
    from: ["TICKET_STATE_VERIFIED"],
    fields: [],
    primary: true,
    final: true,
    run: (t) => closeTicket(base(t)),
  },
  {
    label: "Reject",
    done: "rejected",
    from: ["TICKET_STATE_REQUESTED"],
    fields: [reason],
    final: true,
    run: (t, v) => rejectTicket({ ...base(t), reason: v["reason"] }),
  },
  {
    label: "Cancel ticket",
    done: "cancelled",
    fields: [reason],
    final: true,
    from: [
      "TICKET_STATE_REQUESTED",
      "TICKET_STATE_APPROVED",
      "TICKET_STATE_PLANNED",
      "TICKET_STATE_SCHEDULED",
      "TICKET_STATE_IN_PROGRESS",
      "TICKET_STATE_ON_HOLD",
    ],
    run: (t, v) => cancelTicket({ ...base(t), reason: v["reason"] }),
  },
];

/** The steps of a requisition, in the order of its life. */
export const REQUISITION_ACTIONS: readonly Action<Requisition, RequisitionState>[] = [
  {
    label: "Approve",
    done: "approved",
    from: ["REQUISITION_STATE_REQUESTED"],
    fields: [],
    primary: true,
    run: (r) => approveRequisition(base(r)),
  },
  {
    label: "Order",
    done: "ordered",
    from: ["REQUISITION_STATE_APPROVED"],
    primary: true,
    fields: [{ name: "orderNumber", label: "Order number", kind: "line", required: true }],
    run: (r, v) => orderRequisition({ ...base(r), orderNumber: v["orderNumber"] }),
  },
  {
    label: "Receive",
    done: "received",
    from: ["REQUISITION_STATE_ORDERED"],
    primary: true,
    fields: [{ name: "bin", label: "Into bin", kind: "bin", required: false }],
    run: (r, v) => receiveRequisition({ ...base(r), bin: v["bin"] }),
  },
  {
    label: "Cancel requisition",
    done: "cancelled",
    fields: [reason],
    final: true,
    from: ["REQUISITION_STATE_REQUESTED", "REQUISITION_STATE_APPROVED", "REQUISITION_STATE_ORDERED"],
    run: (r, v) => cancelRequisition({ ...base(r), reason: v["reason"] }),
  },
];

/** Return the steps that `resource` may take from `state`. */
export function validActions<R, S>(actions: readonly Action<R, S>[], resource: R, state: S): Action<R, S>[] {
  return actions.filter((action) => action.from.includes(state) && (action.only?.(resource) ?? true));
}
