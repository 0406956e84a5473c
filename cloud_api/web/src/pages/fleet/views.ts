import { idOf } from "../../words";

/** The views of the page, in the order of what is looked at most. */
export const FLEET_VIEWS = [
  { key: "gateways", label: "Gateways" },
  { key: "rollouts", label: "Rollouts" },
  { key: "releases", label: "Releases" },
  { key: "commands", label: "Commands" },
  { key: "limits", label: "Write limits" },
  { key: "enrolment", label: "Enrolment" },
] as const;

export type FleetView = (typeof FLEET_VIEWS)[number]["key"];

export const fleetAddress = (view: FleetView): string =>
  view === "gateways" ? "/fleet" : `/fleet?view=${view}`;

/** Where a gateway (`gateways/…`) is shown. */
export const gatewayAddress = (name: string): string => `/fleet/gateways/${encodeURIComponent(idOf(name))}`;

/** Where a rollout (`rollouts/…`) is shown. */
export const rolloutAddress = (name: string): string => `/fleet/rollouts/${encodeURIComponent(idOf(name))}`;

/** Return the edge node of `gateways/{site}~{edge_node}`. */
export const nodeOf = (name: string): string => name.slice(name.indexOf("~") + 1);
