import { readFilters } from "../../address";
import { FilterBar, useSearch } from "../../components/filters";
import { type Command, type CommandState, confirmWrite } from "../../contracts";
import { isWrite } from "../../fleet/writes";
import { CommandTable } from "./command_table";
import { Lacking } from "./lacking";

const STATES: Readonly<Record<string, readonly CommandState[]>> = {
  proposed: ["COMMAND_STATE_PROPOSED"],
  "under-way": ["COMMAND_STATE_CONFIRMED", "COMMAND_STATE_SENT"],
  done: ["COMMAND_STATE_DONE"],
  refused: ["COMMAND_STATE_REFUSED", "COMMAND_STATE_FAILED", "COMMAND_STATE_UNANSWERED"],
  lapsed: ["COMMAND_STATE_EXPIRED", "COMMAND_STATE_CANCELLED"],
};

const FILTERS = [
  {
    name: "state",
    label: "State",
    choices: [
      { value: "proposed", label: "Proposed" },
      { value: "under-way", label: "Under way" },
      { value: "done", label: "Done" },
      { value: "refused", label: "Refused or failed" },
      { value: "lapsed", label: "Expired or withdrawn" },
    ],
  },
  {
    name: "to",
    label: "To",
    choices: [
      { value: "devices", label: "Devices" },
      { value: "agents", label: "Agents" },
    ],
  },
] as const;

/** Everything that was asked of gateways and devices, by whom, and what came of it. */
export function CommandsView() {
  const { search } = useSearch();
  const chosen = readFilters(search, ["state", "to"]);
  const states = chosen.state.flatMap((s) => STATES[s] ?? []);
  const only = (c: Command): boolean =>
    (!states.length || states.includes(c.state)) &&
    (!chosen.to.length || chosen.to.includes(isWrite(c) ? "devices" : "agents"));
  return (
    <>
      <div class="page-head">
        <FilterBar filters={FILTERS} />
        <Lacking of={confirmWrite} />
        <a class="button last" href="/fleet?view=limits">
          Write to a device…
        </a>
      </div>
      <CommandTable only={only} />
    </>
  );
}
