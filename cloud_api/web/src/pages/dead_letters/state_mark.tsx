import type { SetAsideMessage } from "../../contracts";
import { stateWord } from "../../dead_letters/letters";

/** The state in words; what asks for a person is strong. */
export function StateMark({ of }: { of: SetAsideMessage }) {
  const asks = of.state === "DEAD_LETTER_STATE_OPEN" || of.outcome === "REPLAY_OUTCOME_SET_ASIDE";
  return asks ? <strong>{stateWord(of)}</strong> : <span class="quiet">{stateWord(of)}</span>;
}
