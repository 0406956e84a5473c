import {
  type DeadLetterCount,
  type DeadLetterFix,
  type DecodedMetric,
  discardDeadLetter,
  replayDeadLetter,
  type ReplayOutcome,
  type DeadLetterState,
  type SetAsideMessage,
} from "../contracts";
import type { Action, Field } from "../lifecycle";
import { word } from "../words";

export const STATES = ["open", "replayed", "discarded", "all"] as const;
export type StateView = (typeof STATES)[number];

export const reasonWord = (reason: string): string => word(reason, "");
export const stateOf = (view: StateView): DeadLetterState[] =>
  view === "all" ? [] : [`DEAD_LETTER_STATE_${view.toUpperCase()}` as DeadLetterState];

const OUTCOMES: Readonly<Record<ReplayOutcome, string>> = {
  REPLAY_OUTCOME_UNSPECIFIED: "",
  REPLAY_OUTCOME_WAITING: "under way",
  REPLAY_OUTCOME_TAKEN: "took effect",
  REPLAY_OUTCOME_SET_ASIDE: "set aside again",
  REPLAY_OUTCOME_REFUSED: "refused",
};

export const outcomeWord = (outcome: ReplayOutcome): string => OUTCOMES[outcome];

/** Return the state in words, with what became of a replay: `Replayed, took effect`. */
export function stateWord(m: { state: DeadLetterState; outcome: ReplayOutcome }): string {
  return [word(m.state, "DEAD_LETTER_STATE_"), outcomeWord(m.outcome)].filter(Boolean).join(", ");
}

export const idOf = (name: string): string => name.slice(name.indexOf("/") + 1);
export const addressOf = (name: string): string => `/set-aside/${encodeURIComponent(idOf(name))}`;
export const whereOf = (m: SetAsideMessage): string =>
  [m.site, m.edgeNode, m.equipment].filter(Boolean).join(" / ");
export const isWaiting = (m: SetAsideMessage): boolean => m.outcome === "REPLAY_OUTCOME_WAITING";

/** Return how many there are of each value of a field, the most frequent first. */
export function countedBy(
  counts: readonly DeadLetterCount[],
  field: "reason" | "site" | "edgeNode" | "state",
): readonly { value: string; count: number }[] {
  const totals = new Map<string, number>();
  for (const c of counts) totals.set(c[field], (totals.get(c[field]) ?? 0) + c.count);
  return [...totals].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count);
}

/** Return the bytes of a text in base64. */
export const bytesOf = (base64: string): Uint8Array =>
  Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** Return bytes that a person wrote in hexadecimal, in base64; raises an Error that says what is wrong. */
export function fromHex(text: string): string {
  const digits = text.replace(/\s+/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits))
    throw new Error("Write pairs of hexadecimal digits, such as 08 01.");
  const pairs = digits.match(/../g) ?? [];
  return btoa(String.fromCharCode(...pairs.map((pair) => parseInt(pair, 16))));
}

export interface HexRow {
  offset: number;
  hex: string[];
  text: string;
}

const ROW = 16;

/** Return bytes as rows of sixteen, no more than `limit` rows. */
export function hexRows(bytes: Uint8Array, limit: number): HexRow[] {
  const rows: HexRow[] = [];
  for (let offset = 0; offset < bytes.length && rows.length < limit; offset += ROW) {
    const part = [...bytes.subarray(offset, offset + ROW)];
    rows.push({
      offset,
      hex: part.map((b) => b.toString(16).padStart(2, "0")),
      text: part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "·")).join(""),
    });
  }
  return rows;
}

const UNITS: Readonly<Record<string, number>> = { d: 86400, h: 3600, m: 60, s: 1, ms: 0.001 };

/** Return the seconds of `-1d` or `2h 30m`; undefined when it is no length of time. */
export function spanSeconds(text: string): number | undefined {
  const plain = text.replace(/\s+/g, "");
  if (!/^[+-]?(\d+(\.\d+)?(ms|[dhms]))+$/.test(plain)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of plain.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g))
    seconds += Number(amount) * UNITS[unit!]!;
  return plain.startsWith("-") ? -seconds : seconds;
}

/** Return by how much the clock was wrong, when the detail says it: `-1d` for a day ahead. */
export function suggestedShift(m: SetAsideMessage): string {
  const ms = Number(/(\d+) ms after it was received/.exec(m.detail)?.[1] ?? 0);
  if (m.reason !== "TIME_IN_FUTURE" || !ms) return "";
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const)
    if (ms >= 0.9 * size) return `-${Math.round(ms / size)}${unit}`;
  return "";
}

export const metricName = (m: DecodedMetric): string =>
  m.name || (m.alias === undefined ? "without a name" : `alias:${m.alias}`);
/** Whether all of a metric's value is here, so that it can be edited. */
export const isWhole = (m: DecodedMetric): boolean => m.count <= 8 && !m.problem.startsWith("ends");

export interface FixDraft {
  shift: string;
  device: string;
  keepDecoded: boolean;
  /** In hexadecimal; empty for what came. */
  bytes: string;
  /** By a metric's name: its value as a person wrote it. */
  values: Readonly<Record<string, string>>;
  removed: readonly string[];
  added: readonly { name: string; value: string }[];
}

export const NO_FIX: FixDraft = {
  shift: "",
  device: "",
  keepDecoded: false,
  bytes: "",
  values: {},
  removed: [],
  added: [],
};

/** Return the contract's fix of a draft, undefined when it changes nothing; raises an Error. */
export function fixOf(draft: FixDraft): DeadLetterFix | undefined {
  const fix: DeadLetterFix = {
    edits: [],
    device: draft.device.trim(),
    keepDecoded: draft.keepDecoded,
    payload: "",
  };
  if (draft.shift.trim()) {
    const seconds = spanSeconds(draft.shift);
    if (seconds === undefined) throw new Error("Write the shift as a length of time: -1d, +2h30m, 90s.");
    fix.shiftTime = `${Number(seconds.toFixed(3))}s`;
  }
  if (draft.bytes.trim()) fix.payload = fromHex(draft.bytes);
  for (const [metric, value] of Object.entries(draft.values))
    fix.edits.push({ metric, value, remove: false });
  for (const metric of draft.removed) fix.edits.push({ metric, remove: true });
  for (const { name, value } of draft.added)
    if (name.trim()) fix.edits.push({ metric: name.trim(), value, remove: false });
  const changes = fix.edits.length || fix.device || fix.keepDecoded || fix.payload || fix.shiftTime;
  return changes ? fix : undefined;
}

const why: Field = {
  name: "reason",
  label: "Why",
  kind: "text",
  required: true,
  hint: "Kept in the audit trail.",
};

export const ACTIONS: readonly Action<SetAsideMessage, DeadLetterState>[] = [
  {
    label: "Replay",
    done: "replayed",
    from: ["DEAD_LETTER_STATE_OPEN", "DEAD_LETTER_STATE_DISCARDED"],
    fields: [why],
    primary: true,
    consequence: () =>
      "It goes into the log again as it came, once. What is older than the device's newest block reaches the historian and raises no alarm.",
    scope: replayDeadLetter.scope,
    blocked: (m) => (m.replayRefusal ? `No replay: ${m.replayRefusal}.` : ""),
    run: (m, v) => replayDeadLetter({ name: m.name, etag: m.etag, reason: v["reason"] }),
  },
  {
    label: "Discard",
    done: "discarded",
    from: ["DEAD_LETTER_STATE_OPEN"],
    fields: [why],
    consequence: () =>
      "It leaves the open ones. Its bytes stay as long as the log holds them, and it can still be replayed.",
    scope: discardDeadLetter.scope,
    run: (m, v) => discardDeadLetter({ name: m.name, etag: m.etag, reason: v["reason"] }),
  },
];
