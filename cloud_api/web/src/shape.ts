/**
 * What protobuf's JSON leaves out, put back: an absent scalar is its default, an absent list is empty,
 * and the numbers JSON cannot say ("NaN", "Infinity") are numbers again. `null` marks a number that may be absent.
 */
export type Default =
  string | number | boolean | null | Shape | readonly [] | readonly [0] | readonly [Shape];

export interface Shape {
  readonly [field: string]: Default;
}

type Json = Record<string, unknown>;

function fillField(mark: Default, value: unknown): unknown {
  if (Array.isArray(mark)) {
    const list = Array.isArray(value) ? value : [];
    const inner: unknown = mark[0];
    if (inner === undefined) return list;
    return inner === 0 ? list.map(Number) : list.map((item) => fill(inner as Shape, item as Json));
  }
  if (mark === null) return value == null ? undefined : Number(value);
  if (typeof mark === "object") return value == null ? undefined : fill(mark as Shape, value as Json);
  if (value == null) return mark;
  return typeof mark === "number" ? Number(value) : value;
}

/** Return `json` with every field that `shape` names. */
export function fill(shape: Shape, json: Json): Json {
  const filled: Json = { ...json };
  for (const [field, mark] of Object.entries(shape)) {
    const value = fillField(mark, json[field]);
    if (value !== undefined) filled[field] = value;
  }
  return filled;
}
