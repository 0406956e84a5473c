import { computed, signal } from "@preact/signals";
import { clockOffset } from "./live";

/** The wall clock to the second, for ages and promises. */
export const now = signal(Date.now());

/** The same by the server's clock, which stamps what was heard. */
export const serverNow = computed(() => now.value + clockOffset.value);

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) now.value = Date.now();
});
