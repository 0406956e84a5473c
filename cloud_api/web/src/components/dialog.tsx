import { type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { FailureModeValues } from "../contracts";
import type { Field } from "../lifecycle";
import { failureModeWord } from "../words";
import { Icon } from "./icons";

interface ModalProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
  /** Only its own buttons close it: what it shows is not shown again. */
  sticky?: boolean;
}

/** The browser's own modal dialog: it holds the focus and Escape leaves it. */
export function Modal({ title, onClose, children, class: name = "dialog", sticky }: ModalProps) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  return (
    <dialog
      ref={box}
      class={name}
      aria-label={title}
      onClose={onClose}
      onCancel={(e) => sticky && e.preventDefault()}
      onClick={(e) => e.target === box.current && !sticky && onClose()}
    >
      {children}
    </dialog>
  );
}

interface FieldProps {
  field: Field;
  value: string;
  error: string;
  choices: readonly { value: string; label: string }[];
  onInput: (value: string) => void;
  onLeave: () => void;
}

const FAILURE_MODES = FailureModeValues.slice(1).map((value) => ({ value, label: failureModeWord(value) }));

function Input({ field, value, error, choices, onInput, onLeave }: FieldProps) {
  const id = `field-${field.name}`;
  const given = {
    id,
    name: field.name,
    value,
    "aria-invalid": Boolean(error),
    "aria-describedby": `${id}-error`,
    onInput: (event: { currentTarget: { value: string } }) => onInput(event.currentTarget.value),
    onBlur: onLeave,
  };
  const options = field.choices ?? (field.kind === "failureMode" ? FAILURE_MODES : choices);
  return (
    <div class="field">
      <label for={id}>
        {field.label}
        {!field.required && <span class="quiet"> (optional)</span>}
      </label>
      {field.kind === "text" && <textarea {...given} rows={3} />}
      {field.kind === "line" && <input {...given} type="text" autocomplete="off" />}
      {field.kind === "time" && <input {...given} type="datetime-local" />}
      {(field.kind === "failureMode" || field.kind === "bin" || field.kind === "choice") && (
        <select {...given}>
          {field.kind !== "choice" && (
            <option value="">{field.kind === "bin" ? "The part's own bin" : "As suspected"}</option>
          )}
          {options.map((o) => (
            <option key={o.value} value={o.value}>
              {o.label}
            </option>
          ))}
        </select>
      )}
      {field.hint && <p class="quiet small">{field.hint}</p>}
      <p id={`${id}-error`} class="field-error">
        {error}
      </p>
    </div>
  );
}

/** Return a field's name as the page knows it: the server may say `scheduled_start_time`. */
const camel = (name: string): string =>
  (name.split(".").at(-1) ?? name).replace(/_([a-z])/g, (_, l: string) => l.toUpperCase());

interface ActionDialogProps {
  title: string;
  /** What will come of it. */
  warning?: ComponentChildren;
  confirm: string;
  fields: readonly Field[];
  choices?: readonly { value: string; label: string }[];
  initial?: Record<string, string>;
  /** Two fields beside each other where there is room. */
  wide?: boolean;
  /** Where a draft waits when the dialog is left. */
  draft: string;
  onRun: (values: Record<string, string>) => Promise<void>;
  onClose: () => void;
}

function readDraft(key: string): Record<string, string> {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}

/** Return what the server is sent: a local time as RFC 3339. */
function sent(fields: readonly Field[], values: Record<string, string>): Record<string, string> {
  const times = fields.filter((f) => f.kind === "time" && values[f.name]);
  return {
    ...values,
    ...Object.fromEntries(times.map((f) => [f.name, new Date(values[f.name]!).toISOString()])),
  };
}

/** Ask what an action needs, keep it as a draft, and show the server's objections at their fields. */
export function ActionDialog(props: ActionDialogProps) {
  const { title, warning, confirm, fields, choices = [], initial = {}, onRun, onClose } = props;
  const key = `headrace.draft.${props.draft}`;
  const [values, setValues] = useState<Record<string, string>>(() => ({ ...initial, ...readDraft(key) }));
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const missing = (f: Field): string =>
    f.required && !values[f.name]?.trim() ? `${f.label} is needed.` : "";

  const change = (name: string, value: string): void => {
    const next = { ...values, [name]: value };
    setValues(next);
    sessionStorage.setItem(key, JSON.stringify(next));
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const wanting = Object.fromEntries(fields.map((f) => [f.name, missing(f)]));
    setErrors(wanting);
    if (Object.values(wanting).some(Boolean)) return;
    setBusy(true);
    try {
      await onRun(sent(fields, values));
      sessionStorage.removeItem(key);
      onClose();
    } catch (error) {
      setErrors(objections(error, fields));
      setBusy(false);
    }
  };

  return (
    <Modal title={title} onClose={onClose} class={props.wide ? "dialog dialog-wide" : "dialog"}>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <header class="dialog-head">
          <h2>{title}</h2>
          <button type="button" class="icon-button" onClick={onClose} aria-label="Dismiss">
            <Icon name="close" />
          </button>
        </header>
        {warning && <p>{warning}</p>}
        {fields.map((field) => (
          <Input
            key={field.name}
            field={field}
            value={values[field.name] ?? ""}
            error={errors[field.name] ?? ""}
            choices={choices}
            onInput={(value) => change(field.name, value)}
            onLeave={() => setErrors({ ...errors, [field.name]: values[field.name] ? missing(field) : "" })}
          />
        ))}
        {errors[""] && (
          <p class="field-error" role="alert">
            {errors[""]}
          </p>
        )}
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            Back
          </button>
          <button type="submit" class="button button-primary" disabled={busy}>
            {confirm}
          </button>
        </footer>
      </form>
    </Modal>
  );
}

/** Return the server's objections by field; what belongs to none is under the empty name. */
function objections(error: unknown, fields: readonly Field[]): Record<string, string> {
  const found: Record<string, string> = {};
  if (error instanceof ApiError) {
    for (const { field, message } of error.errors) {
      const name = camel(field);
      found[fields.some((f) => f.name === name) ? name : ""] = message;
    }
  }
  if (!Object.keys(found).length) found[""] = error instanceof Error ? error.message : String(error);
  return found;
}
