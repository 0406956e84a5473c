import { useEffect, useState } from "preact/hooks";
import { lazy, LocationProvider, Route, Router, useLocation } from "preact-iso";
import { Failed } from "./components/states";
import { AlarmsPage } from "./pages/alarms";
import { EquipmentPage } from "./pages/equipment";
import { MePage } from "./pages/me";
import { NotFoundPage } from "./pages/not_found";
import { PlantPage } from "./pages/plant";
import { SignalsPage } from "./pages/signals";
import { SignInPage } from "./pages/sign_in";
import { StoresPage } from "./pages/stores";
import { TicketPage } from "./pages/ticket";
import { WorkPage } from "./pages/work";
import { restore, session } from "./session";
import { AlarmBand } from "./shell/band";
import { ConnectionBanner } from "./shell/banner";
import { Palette } from "./shell/palette";
import { Pocket, Rail } from "./shell/rail";
import { Toasts } from "./shell/toasts";
import { Topbar } from "./shell/topbar";

function Unloaded() {
  const error = new Error(
    "This page could not be loaded: the server is away, or newer than what is open here.",
  );
  return <Failed error={error} retry={() => location.reload()} />;
}

/** One chunk: what engineers need and the phone of a technician need not load. */
const fleet = () =>
  import("./pages/fleet").catch(() => ({
    FleetPage: Unloaded,
    GatewayPage: Unloaded,
    RolloutPage: Unloaded,
  }));
const FleetPage = lazy(async () => (await fleet()).FleetPage);
const GatewayPage = lazy(async () => (await fleet()).GatewayPage);
const RolloutPage = lazy(async () => (await fleet()).RolloutPage);

const deadLetters = () =>
  import("./pages/dead_letters").catch(() => ({ DeadLettersPage: Unloaded, DeadLetterPage: Unloaded }));
const DeadLettersPage = lazy(async () => (await deadLetters()).DeadLettersPage);
const DeadLetterPage = lazy(async () => (await deadLetters()).DeadLetterPage);

const FlowPage = lazy(() =>
  import("./pages/flow").then(
    (page) => page.FlowPage,
    () => Unloaded,
  ),
);

/** A new page begins at its top, and says so to a screen reader. */
function arrive(): void {
  scrollTo(0, 0);
  const heading = document.querySelector("main h1")?.textContent?.trim();
  document.title = heading ? `${heading} · Headrace` : "Headrace";
}

function Shell() {
  const { path } = useLocation();
  useEffect(arrive, [path]);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        To the page
      </a>
      <Rail />
      <div class="body">
        <Topbar />
        <AlarmBand />
        <ConnectionBanner />
        <main id="main" tabIndex={-1}>
          <Router onLoadEnd={arrive}>
            <Route path="/" component={PlantPage} />
            <Route path="/equipment/:tag" component={EquipmentPage} />
            <Route path="/signals" component={SignalsPage} />
            <Route path="/alarms" component={AlarmsPage} />
            <Route path="/work" component={WorkPage} />
            <Route path="/work/:id" component={TicketPage} />
            <Route path="/stores" component={StoresPage} />
            <Route path="/fleet" component={FleetPage} />
            <Route path="/fleet/gateways/:id" component={GatewayPage} />
            <Route path="/fleet/rollouts/:id" component={RolloutPage} />
            <Route path="/flow" component={FlowPage} />
            <Route path="/set-aside" component={DeadLettersPage} />
            <Route path="/set-aside/:id" component={DeadLetterPage} />
            <Route path="/me" component={MePage} />
            <Route default component={NotFoundPage} />
          </Router>
        </main>
      </div>
      <Pocket />
      <Palette />
    </div>
  );
}

/** The sign-in page, or the application. */
export function App() {
  const [error, setError] = useState<Error>();
  const ask = (): void => {
    setError(undefined);
    restore().catch((reason: Error) => setError(reason));
  };
  useEffect(ask, []);
  return (
    <LocationProvider>
      {error && <Failed error={error} retry={ask} />}
      {session.value === null && <SignInPage />}
      {session.value && <Shell />}
      <Toasts />
    </LocationProvider>
  );
}
