import { SeverityMark } from "../../components/marks";
import { Age } from "../../components/time";
import type { Command, CommandState, Severity, WriteLimit } from "../../contracts";
import { isWrite, limitOf, sameValue, valueBefore, valueText } from "../../fleet/writes";
import { person, word } from "../../words";

const SEVERITIES: Partial<Record<CommandState, Severity>> = {
  COMMAND_STATE_REFUSED: "SEVERITY_MEDIUM",
  COMMAND_STATE_FAILED: "SEVERITY_MEDIUM",
  COMMAND_STATE_UNANSWERED: "SEVERITY_HIGH",
};

export const commandStateWord = (state: CommandState): string => word(state, "COMMAND_STATE_");

/** How far a command came, and why when it did not end well. */
export function CommandStateText({ command }: { command: Command }) {
  return (
    <>
      <span class="with-mark">
        <SeverityMark severity={SEVERITIES[command.state] ?? "SEVERITY_UNSPECIFIED"} />
        <span class="pill">{commandStateWord(command.state)}</span>
      </span>
      {command.outcomeReason && <span class="quiet block">{command.outcomeReason}</span>}
    </>
  );
}

interface ChangeProps {
  command: Command;
  /** Among which the write before is looked for. */
  commands: readonly Command[];
  limits: readonly WriteLimit[];
}

/** What was there and what is written; nothing for what an agent is told. */
export function Change({ command, commands, limits }: ChangeProps) {
  if (!isWrite(command)) return <span class="quiet none">–</span>;
  const unit = limitOf(command, limits)?.unit ?? "";
  const before = valueBefore(command, commands);
  const { value, outcomeValue } = command;
  return (
    <>
      <span class="num nowrap">
        <span class="quiet" title={before ? "As the last write left it" : "No earlier write is known"}>
          {before ? valueText(before, unit) : "?"}
          <span class="for-readers">{before ? " before" : " not known before"}</span>
        </span>{" "}
        → <strong>{valueText(value, unit)}</strong>
      </span>
      {outcomeValue && value && !sameValue(outcomeValue, value) && (
        <span class="quiet block">it has {valueText(outcomeValue, unit)} now</span>
      )}
    </>
  );
}

/** Who asked for a command, who confirmed it, and when. */
export function Who({ command }: { command: Command }) {
  return (
    <>
      <span class="nowrap">
        {person(command.proposer)}{" "}
        <span class="quiet">
          <Age at={command.createTime} />
        </span>
      </span>
      {isWrite(command) && command.confirmer && (
        <span class="quiet block nowrap">
          confirmed by {person(command.confirmer)} <Age at={command.confirmTime} />
        </span>
      )}
    </>
  );
}
