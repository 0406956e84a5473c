import { useState } from "preact/hooks";
import { ApiError } from "../api";
import { signIn } from "../session";

/** The only page of those who are not signed in; the address they wanted stays. */
export function SignInPage() {
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const wanting = {
      user: user.trim() ? "" : "Say who you are.",
      password: password ? "" : "A password is needed.",
    };
    setErrors(wanting);
    if (wanting.user || wanting.password) return;
    setBusy(true);
    try {
      await signIn(user.trim(), password);
    } catch (error) {
      const fields = error instanceof ApiError ? error.errors : [];
      setErrors({
        ...Object.fromEntries(fields.map((f) => [f.field, f.message])),
        ...(fields.length ? {} : { form: error instanceof Error ? error.message : String(error) }),
      });
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={(event) => void submit(event)} noValidate>
        <h1>
          <img src="/favicon.svg" alt="" width="32" height="32" /> Headrace
        </h1>
        <div class="field">
          <label for="user">User</label>
          <input
            id="user"
            name="user"
            type="text"
            autocomplete="username"
            autocapitalize="none"
            autofocus
            value={user}
            aria-invalid={Boolean(errors["user"])}
            aria-describedby="user-error"
            onInput={(e) => setUser(e.currentTarget.value)}
          />
          <p id="user-error" class="field-error">
            {errors["user"]}
          </p>
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input
            id="password"
            name="password"
            type="password"
            autocomplete="current-password"
            value={password}
            aria-invalid={Boolean(errors["password"])}
            aria-describedby="password-error"
            onInput={(e) => setPassword(e.currentTarget.value)}
          />
          <p id="password-error" class="field-error">
            {errors["password"]}
          </p>
        </div>
        <p class="field-error" role="alert">
          {errors["form"]}
        </p>
        <button type="submit" class="button button-primary" disabled={busy}>
          Sign in
        </button>
        <p class="quiet small">The first start printed a user and a password where the server runs.</p>
      </form>
    </main>
  );
}
