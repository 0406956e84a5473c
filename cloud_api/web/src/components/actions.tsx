import { useState } from "preact/hooks";
import type { Action } from "../lifecycle";
import { validActions } from "../lifecycle";
import { lacking } from "../session";
import { announce, complain } from "../toast";
import { ActionDialog } from "./dialog";

interface ActionsProps<R, S> {
  resource: R;
  state: S;
  /** What a person calls it, such as `WO-000017`. */
  title: string;
  actions: readonly Action<R, S>[];
  choices?: readonly { value: string; label: string }[];
  initial?: Record<string, string>;
  /** In a row: which scope is missing is said once beside the list. */
  brief?: boolean;
  onDone: (resource: R) => void;
  /** Called when the server disagreed: read the truth again. */
  onRefused: () => void;
}

/** The steps that may be taken now, as buttons. */
export function Actions<R extends { name: string }, S>(props: ActionsProps<R, S>) {
  const { resource, state, title, actions, choices, initial, brief, onDone, onRefused } = props;
  const [asking, setAsking] = useState<Action<R, S>>();
  const [busy, setBusy] = useState(false);
  const run = async (action: Action<R, S>, values: Record<string, string>): Promise<void> => {
    setBusy(true);
    try {
      onDone(await action.run(resource, values));
      announce(`${title} ${action.done}`, "polite");
    } catch (error) {
      onRefused();
      throw error;
    } finally {
      setBusy(false);
    }
  };
  const pick = (action: Action<R, S>): void => {
    if (action.fields.length || action.final || action.consequence) setAsking(action);
    else run(action, {}).catch(complain);
  };
  const offered = validActions(actions, resource, state).map((action) => {
    const missing = action.scope ? lacking(action.scope) : "";
    const blocked = action.blocked?.(resource) ?? "";
    return { action, refusal: missing || blocked, told: brief && missing ? "" : missing || blocked };
  });
  const told = [...new Set(offered.map((o) => o.told).filter(Boolean))];
  return (
    <div class="actions">
      {offered.map(({ action, refusal }) => (
        <button
          key={action.label}
          type="button"
          class={action.primary ? "button button-primary" : "button"}
          disabled={busy || refusal !== ""}
          title={refusal || undefined}
          onClick={() => pick(action)}
        >
          {action.label}
        </button>
      ))}
      {told.map((text) => (
        <span key={text} class="quiet small">
          {text}
        </span>
      ))}
      {asking && (
        <ActionDialog
          title={`${asking.label}: ${title}`}
          warning={
            asking.consequence?.(resource) ??
            (asking.final ? `${title} will be ${asking.done}. This cannot be taken back.` : undefined)
          }
          confirm={asking.label}
          fields={asking.fields}
          choices={choices ?? []}
          initial={initial ?? {}}
          draft={`${resource.name}.${asking.label}`}
          onRun={(values) => run(asking, values)}
          onClose={() => setAsking(undefined)}
        />
      )}
    </div>
  );
}
