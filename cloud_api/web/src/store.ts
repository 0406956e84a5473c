import { computed, effect, signal } from "@preact/signals";
import { ApiError } from "./api";
import {
  acknowledgeAlarm,
  type Alarm,
  type Equipment,
  listAlarms,
  listEquipment,
  listRollouts,
  listTickets,
  type Ticket,
} from "./contracts";
import { connect, disconnect, type LiveEvent } from "./live";
import { forgetPoints, gaps, take } from "./points";
import { forgetPrefills } from "./prefill";
import { allowed, restore, session } from "./session";
import { announce } from "./toast";
import {
  isSuppressed,
  isUnacknowledged,
  OPEN_ALARM_STATES,
  OPEN_TICKET_STATES,
  sentence,
  severityRank,
  severityWord,
} from "./words";

/** What every page needs: the machines, what is wrong with them, and what is being done. */
const listed = signal<Equipment[] | undefined>(undefined);
/** Machines that speak and that the books do not list: telemetry is all that is known of them. */
const unlisted = signal<Equipment[]>([]);
export const equipment = computed(() => {
  const known = new Set(listed.value?.map((e) => e.tag));
  return listed.value && [...listed.value, ...unlisted.value.filter((e) => !known.has(e.tag))];
});
export const alarms = signal<Alarm[] | undefined>(undefined);
export const tickets = signal<Ticket[] | undefined>(undefined);
/** Rollouts that their health rule stopped: a person decides how they go on. */
export const halted = signal(0);
export const storeError = signal<string>("");

const PAGE = 1000;
/** Events come in bursts; a list is read once for each burst. */
const BURST_MS = 150;

type Listener = { prefixes: readonly string[]; reload: () => void };
const listeners = new Set<Listener>();

/** Call `reload` after events whose type begins with one of `prefixes`; returns how to stop. */
export function onEvents(prefixes: readonly string[], reload: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const listener: Listener = {
    prefixes,
    reload: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        reload();
      }, BURST_MS);
    },
  };
  listeners.add(listener);
  return () => {
    clearTimeout(timer);
    listeners.delete(listener);
  };
}

function heard(message: LiveEvent): void {
  for (const { prefixes, reload } of listeners)
    if (prefixes.some((p) => message.event.startsWith(p))) reload();
}

function reloadAll(): void {
  listeners.forEach(({ reload }) => reload());
  gaps.value += 1;
}

async function guarded(read: () => Promise<void>): Promise<void> {
  try {
    await read();
    storeError.value = "";
  } catch (error) {
    if (error instanceof ApiError && error.status !== 401) storeError.value = error.message;
  }
}

export const readEquipment = (): Promise<void> =>
  guarded(async () => {
    listed.value = (await listEquipment({ pageSize: PAGE, orderBy: "path" })).equipment;
  });

export const readAlarms = (): Promise<void> =>
  guarded(async () => {
    const answer = await listAlarms({ pageSize: PAGE, states: [...OPEN_ALARM_STATES] });
    const before = alarms.peek();
    alarms.value = answer.alarms;
    if (before) tell(answer.alarms.filter((a) => !before.some((b) => b.name === a.name)));
  });

export const readTickets = (): Promise<void> =>
  guarded(async () => {
    tickets.value = (await listTickets({ pageSize: PAGE, states: [...OPEN_TICKET_STATES] })).tickets;
  });

const readHalted = (): Promise<void> =>
  guarded(async () => {
    if (!allowed(listRollouts.scope)) return;
    halted.value = (await listRollouts({ pageSize: 1, states: ["ROLLOUT_STATE_HALTED"] })).totalSize;
  });

function tell(fresh: readonly Alarm[]): void {
  for (const alarm of fresh)
    announce(
      `${severityWord(alarm.severity)} alarm on ${alarm.equipment}: ${sentence(alarm.summary, alarm.equipment)}`,
    );
}

const byUrgency = (a: Alarm, b: Alarm): number =>
  Number(isSuppressed(a.state)) - Number(isSuppressed(b.state)) ||
  severityRank(b.severity) - severityRank(a.severity) ||
  (a.raiseTime ?? "").localeCompare(b.raiseTime ?? "");

/** Alarms nobody has acknowledged, the most urgent first. */
export const unacknowledged = computed(() =>
  (alarms.value ?? []).filter((a) => isUnacknowledged(a.state)).sort(byUrgency),
);

/** The most urgent open alarm of each piece of equipment; a suppressed one only when there is no other. */
export const worstAlarm = computed(() => {
  const worst = new Map<string, Alarm>();
  for (const alarm of [...(alarms.value ?? [])].sort(byUrgency)) {
    if (!worst.has(alarm.equipment)) worst.set(alarm.equipment, alarm);
  }
  return worst;
});

/** Put `alarm` where its older self was. */
export function replaceAlarm(alarm: Alarm): void {
  alarms.value = alarms.peek()?.map((a) => (a.name === alarm.name ? alarm : a));
}

/** Acknowledge at once on the page, then on the server; what it says in the end stands. */
export async function acknowledge(alarm: Alarm): Promise<void> {
  const state =
    alarm.state === "ALARM_STATE_UNACKNOWLEDGED" ? "ALARM_STATE_ACKNOWLEDGED" : "ALARM_STATE_NORMAL";
  replaceAlarm({ ...alarm, state });
  try {
    replaceAlarm(await acknowledgeAlarm({ name: alarm.name, etag: alarm.etag }));
    announce(`Acknowledged: ${alarm.equipment}`, "polite");
  } catch (error) {
    await readAlarms();
    throw error;
  }
}

let stops: (() => void)[] = [];

function start(): void {
  void readEquipment();
  void readAlarms();
  void readTickets();
  void readHalted();
  stops = [
    onEvents(["maintenance."], () => void readEquipment()),
    onEvents(["maintenance.alarm.", "maintenance.ticket.opened"], () => void readAlarms()),
    onEvents(["maintenance.ticket."], () => void readTickets()),
    onEvents(["fleet.rollout."], () => void readHalted()),
  ];
  connect({
    points: seen,
    event: heard,
    missed: reloadAll,
    // Signed out elsewhere looks like a broken connection; the session's own door tells them apart.
    lost: () => void restore().catch(() => undefined),
  });
}

function stop(): void {
  disconnect();
  stops.forEach((end) => end());
  stops = [];
  forgetPoints();
  forgetPrefills();
  listed.value = alarms.value = tickets.value = undefined;
  unlisted.value = [];
  halted.value = 0;
}

/** A machine nobody has heard of yet joins the plant with its first block. */
function seen(message: Parameters<typeof take>[0]): void {
  take(message);
  if (equipment.peek()?.some((e) => e.tag === message.equipment) ?? true) return;
  unlisted.value = [...unlisted.peek(), heardOf(message)];
}

function heardOf(message: Parameters<typeof take>[0]): Equipment {
  return {
    name: `equipment/${message.equipment}`,
    site: message.site,
    tag: message.equipment,
    displayName: "",
    equipmentClass: message.equipmentClass,
    path: message.path,
    criticality: "CRITICALITY_UNSPECIFIED",
    discovered: true,
    health: 0,
    openAlarmCount: 0,
    openTicketCount: 0,
    highestSeverity: "SEVERITY_UNSPECIFIED",
    etag: "",
  };
}

/** Read and listen while someone is signed in. */
export function follow(): () => void {
  let running = false;
  return effect(() => {
    const signedIn = Boolean(session.value);
    if (signedIn === running) return;
    running = signedIn;
    if (signedIn) start();
    else stop();
  });
}
