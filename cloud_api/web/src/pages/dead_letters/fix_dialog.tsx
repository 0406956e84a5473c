import { useEffect, useState } from "preact/hooks";
import { Icon } from "../../components/icons";
import { Modal } from "../../components/dialog";
import {
  type DecodedMetric,
  previewDeadLetterFix,
  type PreviewDeadLetterFixResponse,
  replayDeadLetter,
  type SetAsideMessage,
} from "../../contracts";
import {
  type FixDraft,
  fixOf,
  idOf,
  isWhole,
  metricName,
  NO_FIX,
  suggestedShift,
} from "../../dead_letters/letters";
import { announce } from "../../toast";
import { Changes } from "./changes";

const PAUSE_MS = 250;

interface FixDialogProps {
  letter: SetAsideMessage;
  onDone: (letter: SetAsideMessage) => void;
  onClose: () => void;
}

interface MetricRowProps {
  metric: DecodedMetric;
  draft: FixDraft;
  change: (draft: FixDraft) => void;
}

function MetricRow({ metric, draft, change }: MetricRowProps) {
  const name = metricName(metric);
  const removed = draft.removed.includes(name);
  const set = (value: string): void => {
    const values: Record<string, string> = { ...draft.values, [name]: value };
    if (value === metric.value) delete values[name];
    change({ ...draft, values });
  };
  return (
    <tr>
      <th scope="row">
        {name}
        <span class="quiet small block">{metric.datatype || "unknown datatype"}</span>
      </th>
      <td>
        {isWhole(metric) ? (
          <input
            aria-label={`Value of ${name}`}
            value={draft.values[name] ?? metric.value}
            disabled={removed}
            autocomplete="off"
            onInput={(e) => set(e.currentTarget.value)}
          />
        ) : (
          <span class="quiet small">{metric.count > 0 ? `${metric.count} values` : metric.problem}</span>
        )}
      </td>
      <td>
        <label class="check-label">
          <input
            type="checkbox"
            checked={removed}
            onChange={() =>
              change({
                ...draft,
                removed: removed ? draft.removed.filter((n) => n !== name) : [...draft.removed, name],
              })
            }
          />
          Leave out
        </label>
      </td>
    </tr>
  );
}

/** Change what came, see the difference, and replay it. */
export function FixDialog({ letter, onDone, onClose }: FixDialogProps) {
  const decoded = letter.decoded;
  const [draft, setDraft] = useState<FixDraft>({ ...NO_FIX, shift: suggestedShift(letter) });
  const [shown, setShown] = useState<PreviewDeadLetterFixResponse>();
  const [error, setError] = useState("");
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      try {
        const fix = fixOf(draft);
        if (!fix) {
          setShown(undefined);
          setError("");
          return;
        }
        previewDeadLetterFix({ name: letter.name, fix }, stop.signal).then(
          (answer) => {
            setShown(answer);
            setError("");
          },
          (reason: Error) => {
            if (stop.signal.aborted) return;
            setShown(undefined);
            setError(reason.message);
          },
        );
      } catch (reason) {
        setShown(undefined);
        setError((reason as Error).message);
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [draft, letter.name]);

  const submit = (event: Event): void => {
    event.preventDefault();
    if (!why.trim()) return setError("Why is needed.");
    setBusy(true);
    replayDeadLetter({ name: letter.name, etag: letter.etag, reason: why, fix: fixOf(draft) })
      .then((answer) => {
        announce("Replayed with these changes", "polite");
        onDone(answer);
        onClose();
      })
      .catch((reason: Error) => {
        setError(reason.message);
        setBusy(false);
      });
  };
  const text = (name: "shift" | "device" | "bytes") => ({
    id: `fix-${name}`,
    value: draft[name],
    autocomplete: "off",
    onInput: (e: { currentTarget: { value: string } }) =>
      setDraft({ ...draft, [name]: e.currentTarget.value }),
  });
  const isDevice = letter.topic.split("/").length === 5;
  return (
    <Modal title={`Fix ${idOf(letter.name)}`} onClose={onClose} class="dialog dialog-fix">
      <form onSubmit={submit} noValidate>
        <header class="dialog-head">
          <h2>Fix {idOf(letter.name)}</h2>
          <button type="button" class="icon-button" onClick={onClose} aria-label="Dismiss">
            <Icon name="close" />
          </button>
        </header>
        {decoded?.fault && decoded.metrics.length > 0 && (
          <label class="check-label">
            <input
              type="checkbox"
              checked={draft.keepDecoded}
              onChange={() => setDraft({ ...draft, keepDecoded: !draft.keepDecoded })}
            />
            Go on with what could be decoded, leave out the rest
          </label>
        )}
        <div class="fix-pair">
          <div class="field">
            <label for="fix-shift">
              Move every time by <span class="quiet">(optional)</span>
            </label>
            <input {...text("shift")} placeholder="-1d" />
          </div>
          {isDevice && (
            <div class="field">
              <label for="fix-device">
                It is of the device <span class="quiet">(optional)</span>
              </label>
              <input {...text("device")} placeholder={letter.equipment} />
            </div>
          )}
        </div>
        {decoded && decoded.metrics.length > 0 && (
          <div class="table-box fix-metrics">
            <table class="plain">
              <thead>
                <tr>
                  <th scope="col">Metric</th>
                  <th scope="col">Value, in JSON</th>
                  <th scope="col" aria-label="Leave out" />
                </tr>
              </thead>
              <tbody>
                {decoded.metrics.map((m) => (
                  <MetricRow key={m.offset} metric={m} draft={draft} change={setDraft} />
                ))}
                {draft.added.map((added, index) => (
                  <tr key={`added-${index}`}>
                    {(["name", "value"] as const).map((part) => (
                      <td key={part}>
                        <input
                          aria-label={`${part === "name" ? "Name" : "Value"} of new metric ${index + 1}`}
                          placeholder={part === "name" ? "Name" : "Value"}
                          value={added[part]}
                          autocomplete="off"
                          onInput={(e) =>
                            setDraft({
                              ...draft,
                              added: draft.added.map((a, i) =>
                                i === index ? { ...a, [part]: e.currentTarget.value } : a,
                              ),
                            })
                          }
                        />
                      </td>
                    ))}
                    <td />
                  </tr>
                ))}
              </tbody>
            </table>
            <button
              type="button"
              class="button button-plain"
              onClick={() => setDraft({ ...draft, added: [...draft.added, { name: "", value: "" }] })}
            >
              Add a metric
            </button>
          </div>
        )}
        <details>
          <summary>Replace the bytes</summary>
          <div class="field">
            <label for="fix-bytes">New payload, in hexadecimal</label>
            <textarea {...text("bytes")} rows={3} spellcheck={false} />
          </div>
        </details>
        <section class="difference" aria-label="Difference" aria-live="polite">
          {shown ? <Changes of={shown.changes} /> : !error && <p class="quiet">Nothing is changed yet.</p>}
        </section>
        <div class="field">
          <label for="fix-why">Why</label>
          <textarea id="fix-why" rows={2} value={why} onInput={(e) => setWhy(e.currentTarget.value)} />
          <p class="quiet small">Kept in the audit trail, with the changes and what came.</p>
        </div>
        {error && (
          <p class="field-error" role="alert">
            {error}
          </p>
        )}
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            Back
          </button>
          <button type="submit" class="button button-primary" disabled={busy || !shown}>
            Replay with these changes
          </button>
        </footer>
      </form>
    </Modal>
  );
}
