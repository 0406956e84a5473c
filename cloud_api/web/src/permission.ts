/** Say whether `pattern` covers `scope`; a `*` is one segment, at the end all that follow. */
export function covers(pattern: string, scope: string): boolean {
  const wanted = pattern.split(".");
  const given = scope.split(".");
  for (const [i, segment] of wanted.entries()) {
    if (segment === "*" && i === wanted.length - 1) return given.length > i;
    if (i >= given.length || (segment !== "*" && segment !== given[i])) return false;
  }
  return wanted.length === given.length;
}
