import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { onEvents } from "./store";

export interface Query<T> {
  data: T | undefined;
  /** What the server said when it would not; the last data stays. */
  error: Error | undefined;
  reload: () => void;
  /** Put an answer of the server in place without asking again. */
  set: (data: T) => void;
}

/** Call `reload` every so many milliseconds while the page is seen; 0 for never. */
export function useEvery(milliseconds: number, reload: () => void): void {
  useEffect(() => {
    if (!milliseconds) return undefined;
    const seen = (): void => {
      if (!document.hidden) reload();
    };
    const timer = setInterval(seen, milliseconds);
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [milliseconds, reload]);
}

/** Read when `key` changes and after events of `prefixes`; the answer to an older key is dropped. */
export function useQuery<T>(
  read: (signal: AbortSignal) => Promise<T>,
  key: string,
  prefixes: readonly string[] = [],
): Query<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: Error }>({ key });
  const [turn, setTurn] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  const reload = useCallback(() => setTurn((t) => t + 1), []);
  const set = useCallback((data: T) => setState({ key, data }), [key]);

  useEffect(() => {
    const stop = new AbortController();
    latest
      .current(stop.signal)
      .then((data) => !stop.signal.aborted && setState({ key, data }))
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        const reason = error instanceof Error ? error : new Error(String(error));
        setState((before) => (before.key === key ? { ...before, error: reason } : { key, error: reason }));
      });
    return () => stop.abort();
  }, [key, turn]);

  const watched = prefixes.join();
  useEffect(() => (watched ? onEvents(watched.split(","), reload) : undefined), [watched, reload]);

  const current = state.key === key;
  return { data: current ? state.data : undefined, error: current ? state.error : undefined, reload, set };
}
