import { assertive, polite, toasts } from "../toast";

/** Short lines of what was done, and what a screen reader is told. */
export function Toasts() {
  return (
    <>
      <div class="toasts" role="status">
        {toasts.value.map(({ id, text, tone }) => (
          <p key={id} class={`toast toast-${tone}`}>
            {text}
          </p>
        ))}
      </div>
      <div class="for-readers" aria-live="assertive">
        {assertive.value}
      </div>
      <div class="for-readers" aria-live="polite">
        {polite.value}
      </div>
    </>
  );
}
