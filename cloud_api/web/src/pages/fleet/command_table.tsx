import { useMemo } from "preact/hooks";
import { Actions } from "../../components/actions";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import {
  type Command,
  type CommandState,
  listCommands,
  listWriteLimits,
  type WriteLimit,
} from "../../contracts";
import { writeActions } from "../../fleet/actions";
import { isWrite, limitOf, limitText, titleOf, valueBefore, valueText } from "../../fleet/writes";
import { utc } from "../../format";
import { useEvery, useQuery } from "../../query";
import { Change, commandStateWord, CommandStateText, Who } from "./command_cells";
import { liveValue } from "./live_value";
import { gatewayAddress, nodeOf } from "./views";

const SHOWN = 500;
/** A command that waits is read again this often: what its gateway answers comes soon, or expires. */
const WAITING_MS = 3000;
const WAITING: readonly CommandState[] = [
  "COMMAND_STATE_CONFIRMED",
  "COMMAND_STATE_SENT",
  "COMMAND_STATE_PROPOSED",
];

interface Data {
  commands: readonly Command[];
  limits: readonly WriteLimit[];
}

function columns({ commands, limits }: Data, one: boolean, reload: () => void): readonly Column<Command>[] {
  const before = (c: Command): string => {
    const unit = limitOf(c, limits)?.unit;
    const now = liveValue(c.device, c.metric);
    if (now) return `from ${valueText(now, unit)}, as it is now, `;
    const value = valueBefore(c, commands);
    return value ? `from ${valueText(value, unit)}, as the last write left it, ` : "";
  };
  const actions = writeActions(limits, before);
  const gateway: Column<Command> = {
    title: "Gateway",
    cell: (c) => <a href={gatewayAddress(c.gateway)}>{nodeOf(c.gateway)}</a>,
    text: (c) => nodeOf(c.gateway),
  };
  const all: readonly Column<Command>[] = [
    {
      title: "What",
      class: "wide",
      cell: (c) => (
        <>
          {titleOf(c)}
          {c.reason && <span class="quiet block">{c.reason}</span>}
        </>
      ),
      text: titleOf,
    },
    ...(one ? [] : [gateway]),
    {
      title: "Value",
      cell: (c) => <Change command={c} commands={commands} limits={limits} />,
      text: (c) => (isWrite(c) ? valueText(c.value, limitOf(c, limits)?.unit) : ""),
    },
    {
      title: "Allowed",
      class: "num",
      cell: (c) => {
        const limit = limitOf(c, limits);
        return limit ? <span class="nowrap">{limitText(limit)}</span> : <span class="quiet none">–</span>;
      },
    },
    { title: "State", cell: (c) => <CommandStateText command={c} />, text: (c) => commandStateWord(c.state) },
    { title: "Who", cell: (c) => <Who command={c} />, text: (c) => c.proposer },
    {
      title: "Next",
      cell: (c) => (
        <Actions
          resource={c}
          state={c.state}
          title={titleOf(c)}
          actions={actions}
          brief
          onDone={reload}
          onRefused={reload}
        />
      ),
    },
  ];
  // Only for the file: the audit in full.
  const audit = (title: string, text: (c: Command) => string): Column<Command> => ({
    title,
    cell: () => null,
    text,
    fileOnly: true,
  });
  const time = (at: string | undefined): string => (at ? utc(Date.parse(at)) : "");
  return [
    ...(commands.some((c) => c.state === "COMMAND_STATE_PROPOSED") ? all : all.slice(0, -1)),
    audit("Reason", (c) => c.reason),
    audit("Confirmed by", (c) => c.confirmer),
    audit("Proposed at", (c) => time(c.createTime)),
    audit("Confirmed at", (c) => time(c.confirmTime)),
    audit("Answered at", (c) => time(c.outcomeTime)),
    audit("Answer", (c) => c.outcomeReason),
  ];
}

interface CommandTableProps {
  /** Only those to this gateway. */
  gateway?: string;
  /** Which of them. */
  only?: (command: Command) => boolean;
}

/** What gateways and their devices were told, newest first, with what became of it. */
export function CommandTable({ gateway = "", only }: CommandTableProps) {
  const query = useQuery(
    async (stop): Promise<Data & { total: number }> => {
      const [{ commands, totalSize }, { writeLimits }] = await Promise.all([
        listCommands({ gateway, pageSize: SHOWN }, stop),
        listWriteLimits({ pageSize: 1000 }, stop),
      ]);
      return { commands, limits: writeLimits, total: totalSize };
    },
    `commands ${gateway}`,
    ["fleet.command."],
  );
  const { data } = query;
  useEvery(data?.commands.some((c) => WAITING.includes(c.state)) ? WAITING_MS : 0, query.reload);
  const shown = useMemo(() => data && columns(data, gateway !== "", query.reload), [data, gateway]);
  if (query.error && !data) return <Failed error={query.error} retry={query.reload} />;
  if (!data || !shown) return <Skeleton lines={3} />;
  const rows = only ? data.commands.filter(only) : data.commands;
  if (!rows.length)
    return data.commands.length ? (
      <Empty title="No command is like that.">
        <a href="/fleet?view=commands">Show every command</a>
      </Empty>
    ) : (
      <Empty title="Nothing was told yet.">
        {gateway ? (
          "What you ask of this gateway above, and what is written to its devices, is listed here with its outcome."
        ) : (
          <>
            Writes to devices begin at <a href="/fleet?view=limits">Write limits</a>, orders to an agent on
            its gateway’s page. Both are listed here with who, when and what came of them.
          </>
        )}
      </Empty>
    );
  return (
    <div class="dense">
      <Table
        noun="command"
        columns={shown}
        rows={rows}
        total={rows.length < data.commands.length ? rows.length : data.total}
        keyOf={(c) => c.name}
      />
    </div>
  );
}
