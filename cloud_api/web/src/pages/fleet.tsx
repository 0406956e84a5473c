import { useSearch } from "../components/filters";
import { CommandsView } from "./fleet/commands";
import { EnrolmentView } from "./fleet/enrolment";
import { GatewaysView } from "./fleet/gateways";
import { LimitsView } from "./fleet/limits";
import { ReleasesView } from "./fleet/releases";
import { RolloutsView } from "./fleet/rollouts";
import { FLEET_VIEWS, fleetAddress } from "./fleet/views";

export { GatewayPage } from "./fleet/gateway";
export { RolloutPage } from "./fleet/rollout";

const SHOWN = {
  gateways: GatewaysView,
  rollouts: RolloutsView,
  releases: ReleasesView,
  commands: CommandsView,
  limits: LimitsView,
  enrolment: EnrolmentView,
} as const;

/** The gateways: who they are, how they are, what they run, and what they are told. */
export function FleetPage() {
  const { search } = useSearch();
  const asked = new URLSearchParams(search).get("view");
  const view = FLEET_VIEWS.find((v) => v.key === asked)?.key ?? "gateways";
  const Shown = SHOWN[view];
  return (
    <>
      <div class="page-head">
        <h1>Fleet</h1>
        <nav class="tabs" aria-label="Fleet">
          {FLEET_VIEWS.map((v) => (
            <a key={v.key} href={fleetAddress(v.key)} aria-current={v.key === view ? "page" : undefined}>
              {v.label}
            </a>
          ))}
        </nav>
      </div>
      <Shown />
    </>
  );
}
