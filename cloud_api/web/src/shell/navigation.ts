import type { IconName } from "../components/icons";
import { session } from "../session";
import { halted, tickets, unacknowledged } from "../store";

export interface Entry {
  path: string;
  label: string;
  icon: IconName;
  /** Addresses under it that belong to it too. */
  also?: string;
  /** How many need a person, with what they are. */
  badge?: () => { count: number; noun: string };
  /** Also on the bottom bar of the phone. */
  pocket?: boolean;
}

const waiting = (): number =>
  (tickets.value ?? []).filter((t) => t.state === "TICKET_STATE_REQUESTED").length;

/** Every entry leads to a page that works. */
export const NAVIGATION: readonly Entry[] = [
  { path: "/", label: "Plant", icon: "plant", also: "/equipment/", pocket: true },
  { path: "/signals", label: "Signals", icon: "signals" },
  {
    path: "/alarms",
    label: "Alarms",
    icon: "alarms",
    pocket: true,
    badge: () => ({ count: unacknowledged.value.length, noun: "unacknowledged" }),
  },
  {
    path: "/work",
    label: "Work",
    icon: "work",
    also: "/work/",
    badge: () => ({ count: waiting(), noun: "to approve" }),
  },
  { path: "/stores", label: "Stores", icon: "stores", pocket: true },
  {
    path: "/fleet",
    label: "Fleet",
    icon: "fleet",
    also: "/fleet/",
    badge: () => ({ count: halted.value, noun: "halted rollouts" }),
  },
  { path: "/flow", label: "Flow", icon: "flow" },
  { path: "/set-aside", label: "Dead letters", icon: "aside", also: "/set-aside/" },
];

/** The work of whoever is signed in. */
export const myJobs = (): string => `/work?assignee=${encodeURIComponent(session.value?.user ?? "")}`;

export const isCurrent = (entry: Entry, path: string): boolean =>
  path === entry.path || (entry.also !== undefined && path.startsWith(entry.also));
