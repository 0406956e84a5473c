import { useLocation } from "preact-iso";
import { readFilters, toggled, writeFilter } from "../address";

export interface FilterChoice {
  value: string;
  label: string;
}

export interface FilterSpec {
  name: string;
  label: string;
  choices: readonly FilterChoice[];
}

/** Return the query of the page, with its `?`. */
export function useSearch(): { search: string; change: (search: string) => void } {
  const { url, path, route } = useLocation();
  const at = url.indexOf("?");
  return { search: at < 0 ? "" : url.slice(at), change: (search) => route(path + search, true) };
}

/** Filters as buttons that stay pressed; the address holds them. */
export function FilterBar({ filters }: { filters: readonly FilterSpec[] }) {
  const { search, change } = useSearch();
  const active = readFilters(
    search,
    filters.map((f) => f.name),
  );
  return (
    <div class="filters">
      {filters.map(({ name, label, choices }) => (
        <div key={name} class="filter" role="group" aria-label={label}>
          <span class="filter-label">{label}</span>
          {choices.map(({ value, label: text }) => (
            <button
              key={value}
              type="button"
              class="chip"
              aria-pressed={active[name]!.includes(value)}
              onClick={() => change(writeFilter(search, name, toggled(active[name]!, value)))}
            >
              {text}
            </button>
          ))}
        </div>
      ))}
      {Object.values(active).some((v) => v.length) && (
        <button
          type="button"
          class="chip chip-clear"
          onClick={() => change(filters.reduce((query, f) => writeFilter(query, f.name, []), search))}
        >
          Clear filters
        </button>
      )}
    </div>
  );
}
