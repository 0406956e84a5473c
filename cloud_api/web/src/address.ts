/** The filters of a list as the address holds them; a repeated one is parted by commas. */
export type Filters<Name extends string> = Record<Name, string[]>;

/** Return the filters that `query` (`?state=a,b`) holds, of the `names` a list knows. */
export function readFilters<Name extends string>(query: string, names: readonly Name[]): Filters<Name> {
  const params = new URLSearchParams(query);
  const entries = names.map((name) => [name, (params.get(name) ?? "").split(",").filter(Boolean)] as const);
  return Object.fromEntries(entries) as Filters<Name>;
}

/** Return `query` with one filter changed; an empty one leaves the address. */
export function writeFilter(query: string, name: string, values: readonly string[]): string {
  const params = new URLSearchParams(query);
  if (values.length) params.set(name, values.join(","));
  else params.delete(name);
  const text = params.toString().replaceAll("%2C", ",");
  return text && `?${text}`;
}

/** Return `values` with `value` in it when it was not, without it when it was. */
export function toggled(values: readonly string[], value: string): string[] {
  return values.includes(value) ? values.filter((v) => v !== value) : [...values, value];
}
