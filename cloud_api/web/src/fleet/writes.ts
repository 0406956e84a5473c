import type { Command, Value, WriteLimit } from "../contracts";
import { unitText } from "../format";

/** Return a number as it was meant, without what binary fractions add to it. */
const exact = (value: number): string => String(Number(value.toPrecision(9)));

/** Return what is written, with its unit; a dash for nothing. */
export function valueText(value: Value | undefined, unit = ""): string {
  if (value?.number !== undefined)
    return [exact(value.number), unitText(unit)].filter(Boolean).join("\u202f");
  if (value?.boolean !== undefined) return value.boolean ? "on" : "off";
  return value?.text !== undefined ? `“${value.text}”` : "–";
}

/** Whether two values are the same. */
export const sameValue = (a: Value, b: Value): boolean =>
  a.number === b.number && a.boolean === b.boolean && a.text === b.text;

/** Whether a command is for a device, not for the agent itself. */
export const isWrite = (command: Pick<Command, "device">): boolean => command.device !== "";

/** Return what a command does, such as `P-101 Speed Setpoint` or `Restart`. */
export function titleOf({ device, metric, value }: Pick<Command, "device" | "metric" | "value">): string {
  if (device) return `${device} ${metric}`;
  const what = metric.replace(/^Node Control\//, "");
  const text = what.charAt(0) + what.slice(1).toLowerCase();
  return value?.text ? `${text}: ${value.text}` : text;
}

/** Return what a metric may be set to. */
export function limitText({
  minimum,
  maximum,
  unit,
}: Pick<WriteLimit, "minimum" | "maximum" | "unit">): string {
  const text = unitText(unit);
  const after = text ? `\u202f${text}` : "";
  if (minimum !== undefined && maximum !== undefined) return `${exact(minimum)} to ${exact(maximum)}${after}`;
  if (minimum !== undefined) return `at least ${exact(minimum)}${after}`;
  if (maximum !== undefined) return `at most ${exact(maximum)}${after}`;
  return "on, off or a text";
}

/** Whether a limit is for numbers. */
export const isNumeric = (limit: Pick<WriteLimit, "minimum" | "maximum">): boolean =>
  limit.minimum !== undefined || limit.maximum !== undefined;

/** Return the limit of what a command writes. */
export const limitOf = (command: Command, limits: readonly WriteLimit[]): WriteLimit | undefined =>
  limits.find((l) => l.site === command.site && l.device === command.device && l.metric === command.metric);

/** Return what the last write that was done before `command` left there; undefined when none is known. */
export function valueBefore(command: Command, commands: readonly Command[]): Value | undefined {
  const earlier = commands.filter(
    (c) =>
      c.state === "COMMAND_STATE_DONE" &&
      c.name !== command.name &&
      c.gateway === command.gateway &&
      c.device === command.device &&
      c.metric === command.metric &&
      (c.createTime ?? "") < (command.createTime ?? ""),
  );
  const last = earlier.sort((a, b) => (b.createTime ?? "").localeCompare(a.createTime ?? ""))[0];
  return last?.outcomeValue ?? last?.value;
}

/** Return what a person typed for a limit as a value; undefined when it is none. */
export function parseValue(text: string, limit: WriteLimit): Value | undefined {
  if (isNumeric(limit)) {
    const value = Number(text.trim().replace(",", "."));
    return text.trim() !== "" && Number.isFinite(value) ? { number: value } : undefined;
  }
  if (text === "on" || text === "off") return { boolean: text === "on" };
  return text === "" ? undefined : { text };
}
