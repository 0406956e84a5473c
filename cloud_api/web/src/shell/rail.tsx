import { useLocation } from "preact-iso";
import { Icon } from "../components/icons";
import { type Entry, isCurrent, myJobs, NAVIGATION } from "./navigation";

function Badge({ entry }: { entry: Entry }) {
  const badge = entry.badge?.();
  if (!badge?.count) return null;
  return (
    <span class="badge num">
      {badge.count > 99 ? "99+" : badge.count}
      <span class="for-readers"> {badge.noun}</span>
    </span>
  );
}

/** The left rail: icons, labelled on hover and on focus. */
export function Rail() {
  const { path } = useLocation();
  return (
    <nav class="rail" aria-label="Main">
      <a class="rail-brand" href="/" aria-label="Headrace, to the plant">
        <img src="/favicon.svg" alt="" width="28" height="28" />
      </a>
      {NAVIGATION.map((entry) => (
        <a
          key={entry.path}
          class="rail-entry"
          href={entry.path}
          aria-current={isCurrent(entry, path) ? "page" : undefined}
        >
          <Icon name={entry.icon} />
          <span class="rail-label">{entry.label}</span>
          <Badge entry={entry} />
        </a>
      ))}
    </nav>
  );
}

/** The bottom bar of the phone. */
export function Pocket() {
  const { path, url } = useLocation();
  const mine = myJobs();
  return (
    <nav class="pocket" aria-label="Main">
      <a class="pocket-entry" href={mine} aria-current={url === mine ? "page" : undefined}>
        <Icon name="work" />
        My jobs
      </a>
      {NAVIGATION.filter((entry) => entry.pocket).map((entry) => (
        <a
          key={entry.path}
          class="pocket-entry"
          href={entry.path}
          aria-current={isCurrent(entry, path) ? "page" : undefined}
        >
          <Icon name={entry.icon} />
          {entry.label}
          <Badge entry={entry} />
        </a>
      ))}
      <a class="pocket-entry" href="/me" aria-current={path === "/me" ? "page" : undefined}>
        <Icon name="me" />
        Me
      </a>
    </nav>
  );
}
