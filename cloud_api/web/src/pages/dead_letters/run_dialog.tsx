import { useCallback, useState } from "preact/hooks";
import { Icon } from "../../components/icons";
import { Modal } from "../../components/dialog";
import { Failed, Skeleton } from "../../components/states";
import {
  cancelReplayRun,
  type DeadLetterFilter,
  getReplayRun,
  type ReplayRun,
  startReplayRun,
} from "../../contracts";
import { reasonWord, spanSeconds } from "../../dead_letters/letters";
import { utc } from "../../format";
import { useEvery, useQuery } from "../../query";
import { announce } from "../../toast";

const POLL_MS = 500;

const words = (f: DeadLetterFilter): string =>
  [
    f.reasons.map(reasonWord).join(" or "),
    f.site && `of site ${f.site}`,
    f.edgeNode && `of edge node ${f.edgeNode}`,
    f.startTime && `received since ${utc(Date.parse(f.startTime))}`,
  ]
    .filter(Boolean)
    .join(", ") || "all reasons, sites and times";

interface RunDialogProps {
  filter: DeadLetterFilter;
  discard: boolean;
  onClose: () => void;
}

/** Says how many a filter finds, asks, and shows how far it is. */
export function RunDialog({ filter, discard, onClose }: RunDialogProps) {
  const verb = discard ? "Discard" : "Replay";
  const [reason, setReason] = useState("");
  const [shift, setShift] = useState("");
  const [rate, setRate] = useState("50");
  const [error, setError] = useState("");
  const [run, setRun] = useState<ReplayRun>();
  const request = { filter, discard, ...(discard ? { rate: 1000 } : { rate: Number(rate) || 0 }) };
  const counted = useQuery((stop) => startReplayRun({ filter, discard, validateOnly: true }, stop), "count");
  const isRunning = run?.state === "REPLAY_RUN_STATE_RUNNING";
  const follow = useCallback(() => {
    if (run)
      getReplayRun({ name: run.name }).then(
        (next) => {
          setRun(next);
          if (next.state !== "REPLAY_RUN_STATE_RUNNING") announce(`${next.done} done`, "polite");
        },
        (reason: Error) => setError(reason.message),
      );
  }, [run?.name]);
  useEvery(isRunning ? POLL_MS : 0, follow);

  const begin = (event: Event): void => {
    event.preventDefault();
    const seconds = shift.trim() ? spanSeconds(shift) : undefined;
    if (!reason.trim()) return setError("Why is needed.");
    if (shift.trim() && !seconds) return setError("Write the shift as a length of time: -1d, +2h30m, 90s.");
    setError("");
    const fix = seconds
      ? { fix: { shiftTime: `${seconds}s`, edits: [], device: "", keepDecoded: false, payload: "" } }
      : {};
    startReplayRun({ ...request, ...fix, reason, requestId: crypto.randomUUID() }).then(
      setRun,
      (why: Error) => setError(why.message),
    );
  };
  const gone = run ? run.done + run.skipped : 0;
  return (
    <Modal title={`${verb} many dead letters`} onClose={onClose}>
      <form onSubmit={begin} noValidate>
        <header class="dialog-head">
          <h2>{verb} many dead letters</h2>
          <button type="button" class="icon-button" onClick={onClose} aria-label="Dismiss">
            <Icon name="close" />
          </button>
        </header>
        <p>
          <strong class="num">{counted.data ? counted.data.total : "Counting…"}</strong> open: {words(filter)}
          .
        </p>
        {counted.error && <Failed error={counted.error} retry={counted.reload} />}
        {!counted.data && !counted.error && <Skeleton lines={2} />}
        {!run && (
          <>
            <div class="field">
              <label for="run-why">Why</label>
              <textarea
                id="run-why"
                rows={2}
                value={reason}
                onInput={(e) => setReason(e.currentTarget.value)}
              />
              <p class="quiet small">Kept in the audit trail with each of them.</p>
            </div>
            {!discard && (
              <div class="fix-pair">
                <div class="field">
                  <label for="run-shift">
                    Move every time by <span class="quiet">(optional)</span>
                  </label>
                  <input
                    id="run-shift"
                    value={shift}
                    placeholder="-1d"
                    autocomplete="off"
                    onInput={(e) => setShift(e.currentTarget.value)}
                  />
                </div>
                <div class="field">
                  <label for="run-rate">At most, a second</label>
                  <input
                    id="run-rate"
                    type="number"
                    min="1"
                    max="1000"
                    value={rate}
                    onInput={(e) => setRate(e.currentTarget.value)}
                  />
                </div>
              </div>
            )}
          </>
        )}
        {run && (
          <div class="run">
            <progress max={Math.max(run.total, 1)} value={gone} aria-label={`${verb}: done`} />
            <p class="num" role="status">
              {run.done} of {run.total} done{run.skipped > 0 && `, ${run.skipped} passed over`}
              {run.state === "REPLAY_RUN_STATE_CANCELLED" && ", then stopped"}
            </p>
            {run.skipDetail && <p class="quiet small breaks">Last passed over: {run.skipDetail}</p>}
          </div>
        )}
        {error && (
          <p class="field-error" role="alert">
            {error}
          </p>
        )}
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            {run ? "Close" : "Back"}
          </button>
          {isRunning && (
            <button
              type="button"
              class="button"
              onClick={() => {
                cancelReplayRun({ name: run.name }).then(setRun, (why: Error) => setError(why.message));
              }}
            >
              Stop
            </button>
          )}
          {!run && (
            <button type="submit" class="button button-primary" disabled={!counted.data?.total}>
              {verb} {counted.data?.total ?? ""}
            </button>
          )}
        </footer>
      </form>
    </Modal>
  );
}
