import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { download } from "../csv";
import { Icon } from "./icons";

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** What the file holds; a column without it is left out there. */
  text?: (row: Row) => string;
  class?: string;
  /** Of the file alone: what a list has no room for. */
  fileOnly?: boolean;
}

interface TableProps<Row> {
  /** What one row is. */
  noun: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  /** How many the server has, when it has more than these. */
  total?: number;
  onOpen?: (row: Row) => void;
  /** Keys pressed with a row or checked rows chosen. */
  onKey?: (key: string, rows: readonly Row[]) => boolean;
  /** What can be done with the checked rows. */
  bulk?: (rows: readonly Row[], clear: () => void) => ComponentChildren;
}

/** A list: count, selection by keyboard (arrows or j and k, space, Enter), bulk actions and CSV. */
export function Table<Row>(props: TableProps<Row>) {
  const { noun, columns, rows, keyOf, total, onOpen, onKey, bulk } = props;
  const [current, setCurrent] = useState(0);
  const [checked, setChecked] = useState<ReadonlySet<string>>(new Set());
  const body = useRef<HTMLTableSectionElement>(null);
  const shown = columns.filter((c) => !c.fileOnly);
  const chosen = rows.filter((row) => checked.has(keyOf(row)));
  const at = Math.min(current, rows.length - 1);

  useEffect(() => {
    const known = new Set(rows.map(keyOf));
    if ([...checked].some((key) => !known.has(key)))
      setChecked(new Set([...checked].filter((k) => known.has(k))));
  }, [rows]);

  const focus = (index: number): void => {
    const next = Math.min(rows.length - 1, Math.max(0, index));
    setCurrent(next);
    (body.current?.rows[next] as HTMLElement | undefined)?.focus();
  };
  const check = (row: Row): void => {
    const next = new Set(checked);
    if (!next.delete(keyOf(row))) next.add(keyOf(row));
    setChecked(next);
  };
  const pressed = (event: KeyboardEvent, row: Row, index: number): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown" || event.key === "j") focus(index + 1);
    else if (event.key === "ArrowUp" || event.key === "k") focus(index - 1);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(rows.length - 1);
    else if (event.key === "Enter" && onOpen) onOpen(row);
    else if (event.key === " " && bulk) check(row);
    else if (!onKey?.(event.key, chosen.length ? chosen : [row])) return;
    event.preventDefault();
    event.stopPropagation();
  };
  const save = (): void => {
    const written = columns.filter((c) => c.text);
    download(`${noun}s.csv`, [
      written.map((c) => c.title),
      ...rows.map((row) => written.map((c) => c.text!(row))),
    ]);
  };

  return (
    <div class="list">
      <div class="list-head">
        <span class="num">
          {rows.length}
          {total !== undefined && total > rows.length ? ` of ${total}` : ""}{" "}
          {rows.length === 1 && !(total && total > 1) ? noun : `${noun}s`}
        </span>
        {chosen.length > 0 && (
          <span class="bulk">
            {chosen.length} selected {bulk?.(chosen, () => setChecked(new Set()))}
          </span>
        )}
        <button type="button" class="button button-plain" onClick={save} disabled={!rows.length}>
          <Icon name="download" /> CSV
        </button>
      </div>
      <div class="table-box">
        <table>
          <thead>
            <tr>
              {bulk && <th class="check" aria-label="Selected" />}
              {shown.map((c) => (
                <th key={c.title} scope="col" class={c.class}>
                  {c.title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody ref={body}>
            {rows.map((row, index) => (
              <tr
                key={keyOf(row)}
                tabIndex={index === at ? 0 : -1}
                aria-selected={bulk ? checked.has(keyOf(row)) : undefined}
                class={onOpen ? "row-open" : ""}
                onFocus={() => setCurrent(index)}
                onKeyDown={(event) => pressed(event, row, index)}
                onClick={(event) => {
                  if (!(event.target as Element).closest("a, button, input, label")) onOpen?.(row);
                }}
              >
                {bulk && (
                  <td class="check">
                    <input
                      type="checkbox"
                      tabIndex={-1}
                      checked={checked.has(keyOf(row))}
                      onChange={() => check(row)}
                      aria-label="Select"
                    />
                  </td>
                )}
                {shown.map((c) => (
                  <td key={c.title} class={c.class} data-title={c.title}>
                    <div class="cell">{c.cell(row)}</div>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
