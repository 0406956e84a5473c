import { signal } from "@preact/signals";
import { ApiError, onSignedOut, send } from "./api";
import { covers } from "./permission";

export interface Session {
  user: string;
  roles: string[];
  /** What they may do; patterns among them. */
  scopes: string[];
}

/** undefined while it is not known, null when nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);

onSignedOut.call = () => {
  session.value = null;
};

const read = (json: Record<string, unknown>): Session => ({
  user: String(json["user"] ?? ""),
  roles: (json["roles"] as string[] | undefined) ?? [],
  scopes: (json["scopes"] as string[] | undefined) ?? [],
});

/** Ask the server who is signed in; raises ApiError when it cannot be reached. */
export async function restore(): Promise<void> {
  try {
    session.value = read(await send("GET", "/v1/session"));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    session.value = null;
  }
}

export async function signIn(user: string, password: string): Promise<void> {
  session.value = read(await send("POST", "/v1/session", { user, password }));
}

export async function signOut(): Promise<void> {
  await send("DELETE", "/v1/session");
  session.value = null;
}

/** Whether who is signed in may make calls of `scope`. */
export const allowed = (scope: string): boolean =>
  session.value?.scopes.some((pattern) => covers(pattern, scope)) ?? false;

/** Return why an act is not for who is signed in; empty when it is. */
export const lacking = (scope: string): string =>
  allowed(scope) ? "" : `Your roles do not include ${scope}: ask an administrator.`;
