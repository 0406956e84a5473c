import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const KEY = "headrace.theme";
const preference = matchMedia("(prefers-color-scheme: dark)");

const preferred = (): Theme => (preference.matches ? "dark" : "light");

function chosen(): Theme | null {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : null;
}

/** The theme in force: the person's choice, else the machine's. */
export const theme = signal<Theme>(chosen() ?? preferred());

preference.addEventListener("change", () => {
  if (!chosen()) theme.value = preferred();
});

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

/** Change to the other theme and keep the choice; a choice that equals the machine's is forgotten. */
export function toggleTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  if (theme.value === preferred()) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
}

/** Return the value of a colour token, as a canvas needs it. */
export const token = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
