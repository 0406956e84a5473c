import { useEffect, useState } from "preact/hooks";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";
import { Failed } from "./components/states";
import { AlarmsPage } from "./pages/alarms";
import { EquipmentPage } from "./pages/equipment";
import { MePage } from "./pages/me";
import { NotFoundPage } from "./pages/not_found";
import { PlantPage } from "./pages/plant";
import { SetAsidePage } from "./pages/set_aside";
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

/** A new page begins at its top, and says so to a screen reader. */
function useArrival(): void {
  const { path } = useLocation();
  useEffect(() => {
    scrollTo(0, 0);
    const heading = document.querySelector("main h1")?.textContent?.trim();
    document.title = heading ? `${heading} · Headrace` : "Headrace";
  }, [path]);
}

function Shell() {
  useArrival();
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
          <Router>
            <Route path="/" component={PlantPage} />
            <Route path="/equipment/:tag" component={EquipmentPage} />
            <Route path="/signals" component={SignalsPage} />
            <Route path="/alarms" component={AlarmsPage} />
            <Route path="/work" component={WorkPage} />
            <Route path="/work/:id" component={TicketPage} />
            <Route path="/stores" component={StoresPage} />
            <Route path="/set-aside" component={SetAsidePage} />
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
