import { signal } from "@preact/signals";

/** The wall clock to the second, for ages and promises. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) now.value = Date.now();
});
