import type { Gateway, Severity } from "../contracts";

/** Whether a gateway is heard, by its last report. */
export type Heartbeat = "online" | "late" | "offline" | "never" | "revoked";

export const HEARTBEATS: readonly Heartbeat[] = ["online", "late", "offline", "never", "revoked"];

export const HEARTBEAT_WORDS: Readonly<Record<Heartbeat, string>> = {
  online: "Online",
  late: "Late",
  offline: "Offline",
  never: "Never heard",
  revoked: "Revoked",
};

export const HEARTBEAT_SEVERITY: Readonly<Record<Heartbeat, Severity>> = {
  online: "SEVERITY_UNSPECIFIED",
  late: "SEVERITY_MEDIUM",
  offline: "SEVERITY_HIGH",
  never: "SEVERITY_UNSPECIFIED",
  revoked: "SEVERITY_UNSPECIFIED",
};

/** What is taken for a gateway that does not say how often it reports. */
const USUAL_MS = 60_000;
/** Shorter intervals are taken for this long: a page does not read that often. */
const SHORTEST_MS = 5_000;
/** Intervals without a report after which it is late, and after which the server calls it silent. */
const LATE = 2;
const OFFLINE = 3;
/** Who has just enrolled a gateway waits for its first report. */
const AWAITED_MS = 3_600_000;
/** How often a list is read again, at the most and at the least. */
const READ_MS = { shortest: 2_000, longest: 15_000 } as const;

/** Return how long a gateway may say nothing, in milliseconds. */
export function intervalOf(reportIntervalS: number): number {
  const known = Number.isFinite(reportIntervalS) && reportIntervalS > 0;
  return known ? Math.max(SHORTEST_MS, reportIntervalS * 1000) : USUAL_MS;
}

/** Return the state of a gateway; `serverNow` is the server's clock in milliseconds. */
export function heartbeatOf(
  gateway: Pick<Gateway, "state" | "lastSeenTime"> & { report?: { reportIntervalS: number } },
  serverNow: number,
): Heartbeat {
  if (gateway.state === "GATEWAY_STATE_REVOKED") return "revoked";
  const seen = Date.parse(gateway.lastSeenTime ?? "");
  if (!Number.isFinite(seen)) return "never";
  const missed = (serverNow - seen) / intervalOf(gateway.report?.reportIntervalS ?? NaN);
  if (missed > OFFLINE) return "offline";
  return missed > LATE ? "late" : "online";
}

/** Return how often to read gateways again, in milliseconds: twice in the shortest of their intervals. */
export function readEvery(
  gateways: readonly (Pick<Gateway, "lastSeenTime" | "enrolTime"> & {
    report?: { reportIntervalS: number };
  })[],
  serverNow: number,
): number {
  const awaited = gateways.some(
    (g) => !g.lastSeenTime && serverNow - Date.parse(g.enrolTime ?? "") < AWAITED_MS,
  );
  if (awaited) return READ_MS.shortest;
  const shortest = Math.min(...gateways.map((g) => intervalOf(g.report?.reportIntervalS ?? NaN)));
  return Math.min(READ_MS.longest, Math.max(READ_MS.shortest, shortest / 2));
}
