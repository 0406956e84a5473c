import type { FlowNode } from "../contracts";

/** Where a step stands: columns from the log to the right, row 0 the way that most items go. */
export interface Place {
  node: FlowNode;
  column: number;
  row: number;
}

/** A way from one step to another; corners in columns and rows, whole ones the middle of a place. */
export interface Way {
  from: string;
  to: string;
  corners: readonly (readonly [column: number, row: number])[];
}

export interface Layout {
  places: readonly Place[];
  ways: readonly Way[];
  columns: number;
  rows: number;
}

/** So many rows there are at most, as long as the columns suffice. */
const ROWS = 3;
/** How far above a row the ways run that come from further than the next column, by what they carry. */
const LANES = { items: 0.54, letters: 0.46 } as const;

/** The sink of messages that cannot be used. */
export const LETTERS = "to_dead_letters";

/** Return the column of each step: the most steps there are between it and what nothing feeds. */
function columnsOf(steps: readonly FlowNode[]): Map<string, number> {
  const columns = new Map(steps.map((s) => [s.name, 0]));
  // As often as there are steps: then all have settled, and a circle has come to its end.
  for (const _ of steps)
    for (const { name, feeds } of steps)
      for (const fed of feeds)
        if (columns.has(fed))
          columns.set(fed, Math.min(steps.length, Math.max(columns.get(fed)!, columns.get(name)! + 1)));
  return columns;
}

/** Return the longest way through the flow, from its end. */
function mainWay(steps: readonly FlowNode[], columns: ReadonlyMap<string, number>): Set<string> {
  const way = new Set<string>();
  const furthest = Math.max(...columns.values());
  let at = steps.find((s) => columns.get(s.name) === furthest);
  while (at && !way.has(at.name)) {
    const { name } = at;
    way.add(name);
    at = steps.find((s) => s.feeds.includes(name) && columns.get(s.name) === columns.get(name)! - 1);
  }
  return way;
}

/** Return the corners of a way that leaves one place and enters another further right. */
function cornersOf(from: Place, to: Place, places: readonly Place[]): Way["corners"] {
  const start = [from.column, from.row] as const;
  const end = [to.column, to.row] as const;
  const between = (p: Place): boolean => p.column > from.column && p.column < to.column;
  if (from.row === to.row && !places.some((p) => p.row === to.row && between(p))) return [start, end];
  const leave = from.column + 0.5;
  const enter = to.column - 0.5;
  if (leave === enter) return [start, [leave, from.row], [leave, to.row], end];
  const lane = to.row - (to.node.name === LETTERS ? LANES.letters : LANES.items);
  return [start, [leave, from.row], [leave, lane], [enter, lane], [enter, to.row], end];
}

/** Return the places: the main way in row 0, the others below, where there is room. */
function placesOf(steps: readonly FlowNode[]): Place[] {
  const columns = columnsOf(steps);
  const main = mainWay(steps, columns);
  const last = Math.max(...columns.values());
  const taken = new Set<string>();
  const free = (column: number, row: number): boolean => !taken.has(`${column} ${row}`);
  return steps.map((node): Place => {
    let column = columns.get(node.name)!;
    let row = 0;
    if (!main.has(node.name)) {
      row = 1;
      while (!free(column, row)) row += 1;
      // What nothing comes after can as well stand further right, in the last row.
      for (let c = column + 1; row >= ROWS && !node.feeds.length && c < last; c += 1)
        if (free(c, ROWS - 1)) [column, row] = [c, ROWS - 1];
    }
    taken.add(`${column} ${row}`);
    return { node, column, row };
  });
}

/** Return where the steps of a flow stand, and the ways between them. */
export function layoutOf(steps: readonly FlowNode[]): Layout {
  if (!steps.length) return { places: [], ways: [], columns: 0, rows: 0 };
  const places = placesOf(steps);
  const by = new Map(places.map((p) => [p.node.name, p]));
  const ways = places.flatMap((from) =>
    from.node.feeds.flatMap((name): Way[] => {
      const to = by.get(name);
      if (!to || to.column <= from.column) return [];
      return [{ from: from.node.name, to: name, corners: cornersOf(from, to, places) }];
    }),
  );
  return {
    places,
    ways,
    columns: Math.max(...places.map((p) => p.column)) + 1,
    rows: Math.max(...places.map((p) => p.row)) + 1,
  };
}

/** Return the lines that ways are made of, each once however many ways share it. */
export function linesOf(ways: readonly Way[]): Way["corners"][] {
  // By direction and the coordinate that stays: the least and the most of the other.
  const lines = new Map<string, { stays: number; flat: boolean; low: number; high: number }>();
  for (const { corners } of ways)
    corners.slice(1).forEach(([x, y], i) => {
      const [before, above] = corners[i]!;
      const flat = above === y;
      const [stays, a, b] = flat ? [y, before, x] : [x, above, y];
      const key = `${flat} ${stays}`;
      const line = lines.get(key) ?? { stays, flat, low: Infinity, high: -Infinity };
      lines.set(key, { ...line, low: Math.min(line.low, a, b), high: Math.max(line.high, a, b) });
    });
  return [...lines.values()].map(({ stays, flat, low, high }) =>
    flat
      ? [
          [low, stays],
          [high, stays],
        ]
      : [
          [stays, low],
          [stays, high],
        ],
  );
}
