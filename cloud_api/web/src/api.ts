import { fill, type Shape } from "./shape";

export interface FieldError {
  field: string;
  message: string;
}

/** What the server said when it would not; `status` is 0 when it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }
}

type Fields = Record<string, unknown>;

/** Called with each answer 401: the session has ended. */
export const onSignedOut = { call: (): void => undefined };

/** Send one request and return its JSON; raises ApiError. */
export async function send(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Fields> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      signal: signal ?? null,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "UNREACHABLE", "The server cannot be reached. Nothing was changed; try again.");
  }
  const text = await response.text();
  const json = parse(text);
  if (response.ok) return json;
  if (response.status === 401 && path !== "/v1/session") onSignedOut.call();
  throw new ApiError(
    response.status,
    String(json["code"] ?? ""),
    String(json["detail"] ?? json["title"] ?? `The server answered ${response.status}.`),
    Array.isArray(json["errors"]) ? (json["errors"] as FieldError[]) : [],
  );
}

function parse(text: string): Fields {
  if (text === "") return {};
  try {
    return JSON.parse(text) as Fields;
  } catch {
    return {};
  }
}

/** Return what `path` (`ticket.name`) leads to in `fields`. */
function dig(fields: Fields, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => (value as Fields | undefined)?.[key], fields);
}

/** Return the path of `template` and the names of the top fields it took whole. */
export function bindPath(template: string, request: Fields): { path: string; used: Set<string> } {
  const used = new Set<string>();
  const path = template.replace(/\{([\w.]+)(?:=[^}]+)?\}/g, (_, name: string) => {
    if (!name.includes(".")) used.add(name);
    return String(dig(request, name) ?? "")
      .split("/")
      .map(encodeURIComponent)
      .join("/");
  });
  return { path, used };
}

/** Return `fields` as a query with its `?`, repeated ones repeated, empty ones left out. */
export function toQuery(fields: Fields): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== null && item !== "") query.append(name, String(item));
    }
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** One RPC, and the scope that it needs. */
export interface Call<Request, Answer> {
  (request: Request, signal?: AbortSignal): Promise<Answer>;
  readonly scope: string;
}

/** Return the typed call of one RPC by its HTTP binding. */
export function call<Request extends object, Answer>(
  method: string,
  template: string,
  body: string,
  shape: Shape,
  scope: string,
): Call<Request, Answer> {
  const run = async (request: Request, signal?: AbortSignal): Promise<Answer> => {
    const { path, used } = bindPath(template, request as Fields);
    const rest = Object.fromEntries(Object.entries(request).filter(([name]) => !used.has(name)));
    let payload: unknown;
    if (body === "*") payload = rest;
    else if (body) payload = rest[body];
    const query =
      body === "*" ? "" : toQuery(Object.fromEntries(Object.entries(rest).filter(([n]) => n !== body)));
    return fill(shape, await send(method, path + query, payload, signal)) as Answer;
  };
  return Object.assign(run, { scope });
}
