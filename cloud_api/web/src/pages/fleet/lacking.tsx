import { lacking } from "../../session";

/** Says which scope is missing for what a view could do; nothing when none is. */
export function Lacking({ of }: { of: { readonly scope: string } }) {
  const text = lacking(of.scope);
  return text ? <p class="quiet small">{text}</p> : null;
}
