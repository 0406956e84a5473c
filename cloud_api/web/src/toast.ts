import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "bad";
}

const SHOWN_MS = 6000;

/** What was just done, or refused. */
export const toasts = signal<Toast[]>([]);
/** What a screen reader is told: at once, or when it is idle. */
export const assertive = signal("");
export const polite = signal("");

let count = 0;

/** Show a short line for some seconds. */
export function toast(text: string, tone: Toast["tone"] = "plain"): void {
  const id = (count += 1);
  toasts.value = [...toasts.value, { id, text, tone }];
  setTimeout(() => {
    toasts.value = toasts.value.filter((t) => t.id !== id);
  }, SHOWN_MS);
}

export function announce(text: string, how: "assertive" | "polite" = "assertive"): void {
  (how === "polite" ? polite : assertive).value = text;
}

/** Show what went wrong, in the words of who refused. */
export function complain(error: unknown): void {
  toast(error instanceof Error ? error.message : String(error), "bad");
}
