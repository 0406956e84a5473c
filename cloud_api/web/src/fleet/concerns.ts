import type { Gateway, GatewayReport, Severity } from "../contracts";
import { bytes, duration, percent, signedSeconds } from "../format";
import { severityRank } from "../words";
import { HEARTBEAT_SEVERITY, heartbeatOf } from "./heartbeat";

/** Which of a gateway's values a concern is about. */
export type Subject =
  | "heartbeat"
  | "clock"
  | "disk"
  | "temperature"
  | "spool"
  | "dropped"
  | "certificate"
  | "versions"
  | "updates";

/** Something of a gateway that asks for a person. */
export interface Concern {
  of: Subject;
  severity: Severity;
  text: string;
}

/** Above (or for what runs out, below) the first a value is worth a look, above the second it is urgent. */
const LIMITS = {
  /** Seconds; a processor that compares machines needs them together. */
  clockS: [2, 60],
  diskShare: [0.1, 0.05],
  /** A single-board computer slows itself down from 80 °C on. */
  temperatureDegC: [75, 85],
  spoolShare: [0.5, 0.9],
  /** A certificate of 30 days is renewed when 10 are left. */
  certificateDays: [8, 3],
} as const;

const DAY_MS = 86_400_000;

function beyond(value: number, [look, urgent]: readonly [number, number]): Severity {
  const over = (limit: number): boolean => (look < urgent ? value >= limit : value <= limit);
  if (over(urgent)) return "SEVERITY_HIGH";
  return over(look) ? "SEVERITY_MEDIUM" : "SEVERITY_UNSPECIFIED";
}

function ofReport(report: GatewayReport): Concern[] {
  const found: Concern[] = [];
  const add = (of: Subject, severity: Severity, text: string): void => {
    if (severityRank(severity) > 0) found.push({ of, severity, text });
  };
  const skew = (report.clockOffsetMs ?? 0) / 1000;
  add(
    "clock",
    beyond(Math.abs(skew), LIMITS.clockS),
    `Its clock is ${signedSeconds(skew)} from the server's.`,
  );
  const [free, disk] = [Number(report.diskFreeBytes), Number(report.diskBytes)];
  if (disk > 0)
    add(
      "disk",
      beyond(free / disk, LIMITS.diskShare),
      `${bytes(free)} (${percent(free / disk)}) of disk free.`,
    );
  if (report.temperatureDegC !== undefined)
    add(
      "temperature",
      beyond(report.temperatureDegC, LIMITS.temperatureDegC),
      `${Math.round(report.temperatureDegC)} °C inside.`,
    );
  const spool = Number(report.spoolBytes) / Number(report.spoolMaxBytes);
  if (Number.isFinite(spool))
    add(
      "spool",
      beyond(spool, LIMITS.spoolShare),
      `Its spool is ${percent(spool)} full; once it is, readings are dropped.`,
    );
  const dropped = Number(report.spoolDropped);
  if (dropped > 0)
    add(
      "dropped",
      "SEVERITY_MEDIUM",
      `${dropped} ${dropped === 1 ? "batch" : "batches"} of readings dropped since it began.`,
    );
  for (const item of [...report.models, ...report.configurations])
    if (item.state === "INSTALLATION_STATE_REVERTED")
      add(
        "versions",
        "SEVERITY_MEDIUM",
        `Refused ${"equipmentClass" in item ? item.equipmentClass : item.name} ${item.version}: ${item.reason || "no reason given"}`,
      );
  if (report.updateCheck?.result === "refused")
    add(
      "updates",
      "SEVERITY_MEDIUM",
      `Refused what the update repository holds: ${report.updateCheck.reason}`,
    );
  return found;
}

/** Return what of a gateway asks for a person, the most urgent first; nothing of a revoked one. */
export function concernsOf(gateway: Gateway, serverNow: number): Concern[] {
  const heartbeat = heartbeatOf(gateway, serverNow);
  if (heartbeat === "revoked") return [];
  const found: Concern[] = gateway.report ? ofReport(gateway.report) : [];
  if (heartbeat === "late" || heartbeat === "offline") {
    const silent = duration(serverNow - Date.parse(gateway.lastSeenTime ?? ""));
    found.unshift({
      of: "heartbeat",
      severity: HEARTBEAT_SEVERITY[heartbeat],
      text: `No report for ${silent}.`,
    });
  }
  const left = Date.parse(gateway.certificateExpireTime ?? "") - serverNow;
  if (Number.isFinite(left)) {
    const severity = left <= 0 ? "SEVERITY_CRITICAL" : beyond(left / DAY_MS, LIMITS.certificateDays);
    if (severityRank(severity) > 0)
      found.push({
        of: "certificate",
        severity,
        text:
          left <= 0
            ? "Its certificate has expired: enrol it again."
            : `Its certificate ends in ${duration(left)} and was not renewed.`,
      });
  }
  return found.sort((a, b) => severityRank(b.severity) - severityRank(a.severity));
}

/** Return the most urgent severity among concerns, of one subject when it is given. */
export function worstOf(concerns: readonly Concern[], of?: Subject): Severity {
  return concerns.reduce<Severity>(
    (worst, c) =>
      (of === undefined || c.of === of) && severityRank(c.severity) > severityRank(worst)
        ? c.severity
        : worst,
    "SEVERITY_UNSPECIFIED",
  );
}
