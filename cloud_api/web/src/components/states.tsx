import type { ComponentChildren } from "preact";

/** Says what would appear here and how to get it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p class="quiet">{children}</p>}
    </div>
  );
}

/** Says what happened, and offers to try again. */
export function Failed({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <div class="failed" role="alert">
      <span>{error.message}</span>
      <button type="button" class="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

/** Holds the place of `lines` rows that are on their way. */
export function Skeleton({ lines = 6 }: { lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} class="skeleton-line" />
      ))}
    </div>
  );
}
