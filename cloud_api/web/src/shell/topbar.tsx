import { useLocation } from "preact-iso";
import { Icon } from "../components/icons";
import { session, signOut } from "../session";
import { fleetAddress, nodeOf } from "../pages/fleet/views";
import { equipment, tickets } from "../store";
import { theme, toggleTheme } from "../theme";
import { complain } from "../toast";
import { idOf } from "../words";
import { ConductorBar } from "./conductor_bar";
import { isCurrent, NAVIGATION } from "./navigation";
import { openPalette } from "./palette";

interface Crumb {
  label: string;
  href?: string;
}

/** Return the way to the page: the ISA-95 path of a machine, the list of a ticket. */
function crumbs(path: string): Crumb[] {
  const [, first, second] = path.split("/");
  const id = decodeURIComponent(second ?? "");
  if (first === "equipment" && second) {
    const found = equipment.value?.find((e) => e.tag === id);
    const levels = (found?.path ?? "").split("/").filter(Boolean);
    const above = levels.map((label, i) => ({
      label,
      href: `/?under=${levels
        .slice(0, i + 1)
        .map(encodeURIComponent)
        .join("/")}`,
    }));
    return [...(above.length ? above : [{ label: "Plant", href: "/" }]), { label: id }];
  }
  if (first === "work" && second) {
    const found = tickets.value?.find((t) => idOf(t.name) === id);
    return [{ label: "Work", href: "/work" }, { label: found?.number || "Ticket" }];
  }
  if (first === "fleet" && second) {
    const [, , , third] = path.split("/");
    const fleet = { label: "Fleet", href: "/fleet" };
    if (second === "gateways") return [fleet, { label: nodeOf(decodeURIComponent(third ?? "")) }];
    return [fleet, { label: "Rollouts", href: fleetAddress("rollouts") }, { label: "Rollout" }];
  }
  const entry = NAVIGATION.find((e) => isCurrent(e, path));
  return [{ label: entry?.label ?? (path === "/me" ? "Me" : "Not found") }];
}

function Breadcrumb() {
  const { path } = useLocation();
  const way = crumbs(path);
  return (
    <nav class="crumbs" aria-label="Breadcrumb">
      <ol>
        {way.map(({ label, href }, i) => (
          <li key={i} aria-current={i === way.length - 1 ? "page" : undefined}>
            {href ? <a href={href}>{label}</a> : label}
          </li>
        ))}
      </ol>
    </nav>
  );
}

export function Topbar() {
  return (
    <header class="topbar">
      <Breadcrumb />
      <ConductorBar />
      <button type="button" class="search-button" onClick={openPalette}>
        <Icon name="search" />
        <span class="search-text">Search</span>
        <kbd>Ctrl K</kbd>
      </button>
      <button
        type="button"
        class="icon-button topbar-theme"
        onClick={toggleTheme}
        aria-label={theme.value === "dark" ? "Light theme" : "Dark theme"}
        title={theme.value === "dark" ? "Light theme" : "Dark theme"}
      >
        <Icon name={theme.value === "dark" ? "sun" : "moon"} />
      </button>
      <div class="who">
        <span class="who-name">{session.value?.user}</span>
        <button type="button" class="button button-plain" onClick={() => void signOut().catch(complain)}>
          Sign out
        </button>
      </div>
    </header>
  );
}
