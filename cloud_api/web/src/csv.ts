type Cell = string | number;

/** Return one cell as RFC 4180 wants it; a leading `=`, `+`, `-` or `@` of a text is no formula. */
function cell(value: Cell): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  const text = /^[=+\-@\t]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return rows as CSV (RFC 4180). */
export const csv = (rows: readonly (readonly Cell[])[]): string =>
  rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

/** Let the person save rows as a file. */
export function download(name: string, rows: readonly (readonly Cell[])[]): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));
  link.download = name.replaceAll("/", " ");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
