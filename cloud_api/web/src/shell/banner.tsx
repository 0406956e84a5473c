import { clock } from "../format";
import { liveState, retryNow } from "../live";
import { storeError } from "../store";
import { now } from "../ticking";

/** A connection that breaks for a moment is nobody's business. */
const PATIENCE_MS = 2000;

/** Says that what is seen has stopped, since when, and when it is tried again. */
export function ConnectionBanner() {
  const { connected, lostAt, retryAt } = liveState.value;
  const lost = !connected && lostAt > 0 && now.value - lostAt > PATIENCE_MS;
  if (!lost && !storeError.value) return null;
  const wait = Math.max(0, Math.ceil((retryAt - now.value) / 1000));
  return (
    <div class="banner" role="alert">
      <span>
        {lost
          ? `Connection lost at ${clock(lostAt)}. What you see is as it was then; nothing is lost on the server. `
          : `${storeError.value} `}
        {lost && (wait ? `Trying again in ${wait} s.` : "Trying again…")}
      </span>
      <button type="button" class="button" onClick={() => (lost ? retryNow() : location.reload())}>
        Try now
      </button>
    </div>
  );
}
