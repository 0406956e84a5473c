import { useRef, useState } from "preact/hooks";
import { ActionDialog, Modal } from "../../components/dialog";
import { Time } from "../../components/time";
import { issueEnrolmentToken, type IssueEnrolmentTokenResponse } from "../../contracts";
import { enrolCommand } from "../../fleet/enrolment";
import type { Field } from "../../lifecycle";
import { equipment } from "../../store";
import { announce, complain } from "../../toast";

const LIFETIMES = [
  { value: "3600s", label: "1 hour" },
  { value: "86400s", label: "1 day" },
  { value: "604800s", label: "7 days" },
  { value: "2592000s", label: "30 days" },
];

const FIELDS: readonly Field[] = [
  { name: "site", label: "Site", kind: "line", required: true },
  {
    name: "edgeNode",
    label: "Edge node",
    kind: "line",
    required: true,
    hint: "As edge_node in its gateway file. A * stands for any characters; the token still enrols one gateway only.",
  },
  { name: "lifetime", label: "Good for", kind: "choice", required: true, choices: LIFETIMES },
];

/** A text to be copied; where the browser gives no clipboard it is selected instead. */
function Copied({ label, text }: { label: string; text: string }) {
  const [done, setDone] = useState(false);
  const copy = async (button: HTMLButtonElement): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      announce(`${label} copied`, "polite");
    } catch {
      const shown = button.parentElement?.querySelector("code");
      if (shown) getSelection()?.selectAllChildren(shown);
      complain("This browser keeps the clipboard to itself here: the text is selected, copy it with Ctrl-C.");
    }
  };
  return (
    <div class="copied">
      <code aria-label={label}>{text}</code>
      <button type="button" class="button" onClick={(e) => void copy(e.currentTarget)}>
        {done ? "Copied" : "Copy"}
      </button>
    </div>
  );
}

function Issued({ answer, onClose }: { answer: IssueEnrolmentTokenResponse; onClose: () => void }) {
  const token = answer.enrolmentToken;
  const title = `Enrol ${token?.edgeNode ?? "a gateway"}`;
  return (
    <Modal title={title} class="dialog dialog-wide" onClose={onClose} sticky>
      <div class="form-like">
        <header class="dialog-head">
          <h2>{title}</h2>
        </header>
        <p>
          <strong>The token is shown this once.</strong> It enrols one gateway, until{" "}
          <Time at={token?.expireTime} />.
        </p>
        <ol class="steps">
          <li>
            On the gateway, beside its file <code>gateway.toml</code>, run:
            <Copied label="Command" text={enrolCommand(location.origin, answer.token)} />
          </li>
          <li>
            Put the <code>[broker]</code> lines it prints into <code>gateway.toml</code>.
          </li>
          <li>Start the agent. The gateway appears in the list with its first report.</li>
        </ol>
        <p class="quiet">The token alone:</p>
        <Copied label="Token" text={answer.token} />
        <footer class="dialog-foot">
          <button type="button" class="button button-primary" onClick={onClose}>
            I have it
          </button>
        </footer>
      </div>
    </Modal>
  );
}

interface EnrolDialogProps {
  /** Those that have gateways already. */
  sites: readonly string[];
  onClose: () => void;
}

/** Issue a one-time token, and show it once with the command that uses it. */
export function EnrolDialog({ sites, onClose }: EnrolDialogProps) {
  const [answer, setAnswer] = useState<IssueEnrolmentTokenResponse>();
  const issued = useRef(false);
  if (answer) return <Issued answer={answer} onClose={onClose} />;
  const known = [...new Set([...sites, ...(equipment.value ?? []).map((e) => e.site)])];
  return (
    <ActionDialog
      title="Enrol a gateway"
      warning="A one-time token lets one gateway get its own certificate. Without it nobody joins the fleet."
      confirm="Issue a token"
      fields={FIELDS}
      initial={{ site: known.length === 1 ? known[0]! : "", lifetime: LIFETIMES[1]!.value }}
      draft="enrol"
      onRun={async (values) => {
        const made = await issueEnrolmentToken({
          site: values["site"]?.trim(),
          edgeNode: values["edgeNode"]?.trim(),
          lifetime: values["lifetime"],
        });
        issued.current = true;
        setAnswer(made);
      }}
      onClose={() => {
        // The form closes once it is answered; what it brought stays to be read.
        if (!issued.current) onClose();
      }}
    />
  );
}
