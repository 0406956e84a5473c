import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { Modal } from "../components/dialog";
import { listGateways, listTickets } from "../contracts";
import { match } from "../match";
import { FLEET_VIEWS, fleetAddress, gatewayAddress } from "../pages/fleet/views";
import { useQuery } from "../query";
import { allowed, signOut } from "../session";
import { equipment, unacknowledged } from "../store";
import { toggleTheme } from "../theme";
import { complain } from "../toast";
import { idOf, ticketStateWord } from "../words";
import { NAVIGATION } from "./navigation";

const isOpen = signal(false);

export const openPalette = (): void => {
  isOpen.value = true;
};

interface Command {
  key: string;
  label: string;
  detail: string;
  run: () => void;
}

const SHOWN = 12;

function useCommands(): Command[] {
  const { route } = useLocation();
  const recent = useQuery((stop) => listTickets({ pageSize: 200 }, stop), "palette").data?.tickets ?? [];
  const go = (path: string) => (): void => route(path);
  const gateways = useQuery(
    async (stop) =>
      allowed(listGateways.scope) ? (await listGateways({ pageSize: 1000 }, stop)).gateways : [],
    "palette gateways",
  ).data;
  return [
    ...NAVIGATION.map((e) => ({ key: e.path, label: e.label, detail: "Page", run: go(e.path) })),
    ...(equipment.value ?? []).map((e) => ({
      key: e.name,
      label: e.displayName ? `${e.tag} ${e.displayName}` : e.tag,
      detail: e.path.split("/").slice(1).join(" / "),
      run: go(`/equipment/${encodeURIComponent(e.tag)}`),
    })),
    ...recent.map((t) => ({
      key: t.name,
      label: `${t.number} ${t.title}`,
      detail: `${t.equipment} · ${ticketStateWord(t.state)}`,
      run: go(`/work/${idOf(t.name)}`),
    })),
    ...unacknowledged.value.map((a) => ({
      key: a.name,
      label: `Alarm: ${a.summary}`,
      detail: a.equipment,
      run: go(`/alarms?equipment=${encodeURIComponent(a.equipment)}`),
    })),
    ...FLEET_VIEWS.slice(1).map((v) => ({
      key: `fleet ${v.key}`,
      label: v.label,
      detail: "Fleet",
      run: go(fleetAddress(v.key)),
    })),
    ...(gateways ?? []).map((g) => ({
      key: g.name,
      label: g.edgeNode,
      detail: `Gateway · ${g.site}`,
      run: go(gatewayAddress(g.name)),
    })),
    { key: "theme", label: "Change between light and dark", detail: "Action", run: toggleTheme },
    { key: "out", label: "Sign out", detail: "Action", run: () => void signOut().catch(complain) },
  ];
}

function List({ close }: { close: () => void }) {
  const commands = useCommands();
  const [text, setText] = useState("");
  const [current, setCurrent] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const found = match(commands, text, (c) => `${c.label} ${c.detail}`).slice(0, SHOWN);
  const at = Math.min(current, Math.max(0, found.length - 1));

  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const run = (command: Command | undefined): void => {
    if (!command) return;
    close();
    command.run();
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setCurrent(Math.min(found.length - 1, at + 1));
    else if (event.key === "ArrowUp") setCurrent(Math.max(0, at - 1));
    else if (event.key === "Enter") run(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        class="palette-input"
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : undefined}
        aria-label="Search machines, tickets, gateways and pages"
        placeholder="Machine, ticket, gateway, page…"
        value={text}
        autofocus
        onInput={(e) => {
          setText(e.currentTarget.value);
          setCurrent(0);
        }}
        onKeyDown={pressed}
      />
      <ul id="palette-list" class="palette-list" role="listbox" aria-label="Found" ref={list}>
        {found.map((command, i) => (
          <li
            key={command.key}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === at}
            onPointerMove={() => setCurrent(i)}
            onClick={() => run(command)}
          >
            <span class="palette-label">{command.label}</span>
            <span class="quiet">{command.detail}</span>
          </li>
        ))}
        {!found.length && <li class="quiet palette-none">Nothing is called that.</li>}
      </ul>
    </>
  );
}

/** Ctrl-K: go anywhere, find any machine or ticket. */
export function Palette() {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        isOpen.value = !isOpen.peek();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  if (!isOpen.value) return null;
  const close = (): void => {
    isOpen.value = false;
  };
  return (
    <Modal title="Search" class="dialog palette" onClose={close}>
      <List close={close} />
    </Modal>
  );
}
