import { session, signOut } from "../session";
import { NAVIGATION } from "../shell/navigation";
import { theme, toggleTheme } from "../theme";
import { complain } from "../toast";

/** Who I am, on the phone: and the way to what its bottom bar has no room for. */
export function MePage() {
  return (
    <>
      <div class="page-head">
        <h1>{session.value?.user}</h1>
        <p class="quiet">{session.value?.roles.join(", ")}</p>
      </div>
      <ul class="rows">
        {NAVIGATION.filter((entry) => !entry.pocket).map((entry) => (
          <li key={entry.path}>
            <a href={entry.path}>{entry.label}</a>
          </li>
        ))}
      </ul>
      <div class="actions">
        <button type="button" class="button" onClick={toggleTheme}>
          {theme.value === "dark" ? "Light theme" : "Dark theme"}
        </button>
        <button type="button" class="button" onClick={() => void signOut().catch(complain)}>
          Sign out
        </button>
      </div>
    </>
  );
}
