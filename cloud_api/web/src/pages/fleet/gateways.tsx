import { useMemo, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { readFilters, writeFilter } from "../../address";
import { FilterBar, useSearch } from "../../components/filters";
import { Empty, Failed, Skeleton } from "../../components/states";
import { Table } from "../../components/table";
import { issueEnrolmentToken, listGateways } from "../../contracts";
import { concernsOf } from "../../fleet/concerns";
import { HEARTBEAT_WORDS, HEARTBEATS, heartbeatOf, readEvery } from "../../fleet/heartbeat";
import { match } from "../../match";
import { useEvery, useQuery } from "../../query";
import { lacking } from "../../session";
import { serverNow } from "../../ticking";
import { severityRank } from "../../words";
import { EnrolDialog } from "./enrol_dialog";
import { COLUMNS, modelText, type Row } from "./gateway_columns";
import { Lacking } from "./lacking";
import { gatewayAddress } from "./views";

const PAGE = 1000;

/** Those that ask for a person first, then by site and name. */
const byUrgency = (a: Row, b: Row): number =>
  severityRank(b.concerns[0]?.severity ?? "SEVERITY_UNSPECIFIED") -
    severityRank(a.concerns[0]?.severity ?? "SEVERITY_UNSPECIFIED") ||
  HEARTBEATS.indexOf(a.heartbeat) - HEARTBEATS.indexOf(b.heartbeat) ||
  a.gateway.name.localeCompare(b.gateway.name);

const FILTERS = ["heartbeat", "look", "group", "site"] as const;
const CHOICES = 12;

function choices(values: readonly string[]): { value: string; label: string }[] {
  const found = [...new Set(values)].sort();
  return found.length > 1 && found.length <= CHOICES ? found.map((value) => ({ value, label: value })) : [];
}

/** Every gateway there is, those that ask for a person first. */
export function GatewaysView() {
  const { search, change } = useSearch();
  const { route } = useLocation();
  const [enrolling, setEnrolling] = useState(false);
  const params = new URLSearchParams(search);
  const chosen = readFilters(search, FILTERS);
  const installed = params.get("installed") ?? "";
  const wanted = params.get("search") ?? "";
  const query = useQuery(
    (stop) => listGateways({ pageSize: PAGE, installed }, stop),
    `gateways ${installed}`,
    ["fleet.gateway."],
  );
  const gateways = query.data?.gateways;
  useEvery(gateways ? readEvery(gateways, serverNow.peek()) : 0, query.reload);
  const all = useMemo(() => {
    const at = serverNow.peek();
    return gateways?.map((gateway): Row => {
      const heartbeat = heartbeatOf(gateway, at);
      return { gateway, heartbeat, concerns: concernsOf(gateway, at), at };
    });
  }, [gateways]);
  const rows = useMemo(() => {
    const fits = ({ gateway, heartbeat, concerns }: Row): boolean =>
      (!chosen.heartbeat.length || chosen.heartbeat.includes(heartbeat)) &&
      (!chosen.look.length || concerns.length > 0) &&
      (!chosen.group.length || chosen.group.includes(gateway.group)) &&
      (!chosen.site.length || chosen.site.includes(gateway.site));
    const found = all?.filter(fits).sort(byUrgency);
    return (
      found && match(found, wanted, ({ gateway: g }) => `${g.edgeNode} ${g.site} ${g.group} ${modelText(g)}`)
    );
  }, [all, search]);
  const filtered = FILTERS.some((name) => chosen[name].length) || installed !== "" || wanted !== "";
  const refusal = lacking(issueEnrolmentToken.scope);
  const concerned = all?.filter((r) => r.concerns.length > 0).length ?? 0;
  const filters = [
    {
      name: "heartbeat",
      label: "State",
      choices: HEARTBEATS.filter(
        (h) => chosen.heartbeat.includes(h) || all?.some((row) => row.heartbeat === h),
      ).map((value) => ({ value, label: HEARTBEAT_WORDS[value] })),
    },
    {
      name: "look",
      label: "Show",
      choices: [{ value: "yes", label: `Needs a look${concerned ? ` (${concerned})` : ""}` }],
    },
    { name: "group", label: "Group", choices: choices(all?.map((r) => r.gateway.group) ?? []) },
    { name: "site", label: "Site", choices: choices(all?.map((r) => r.gateway.site) ?? []) },
  ].filter((f) => f.choices.length);
  return (
    <>
      <div class="page-head">
        <input
          class="find"
          type="search"
          aria-label="Find a gateway"
          placeholder="Find a gateway…"
          value={wanted}
          onInput={(e) =>
            change(writeFilter(search, "search", e.currentTarget.value ? [e.currentTarget.value] : []))
          }
        />
        {all && all.length > 0 && <FilterBar filters={filters} />}
        {installed && (
          <a class="chip" href={`/fleet${writeFilter(search, "installed", [])}`}>
            Only with {installed.replace("@", " ")}: show all
          </a>
        )}
        <Lacking of={issueEnrolmentToken} />
        <button
          type="button"
          class="button button-primary last"
          disabled={refusal !== ""}
          title={refusal || undefined}
          onClick={() => setEnrolling(true)}
        >
          Enrol a gateway…
        </button>
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty title={filtered ? "No gateway is like that." : "No gateway has been heard of yet."}>
          {filtered ? (
            <a href="/fleet">Show every gateway</a>
          ) : (
            <>
              Press “Enrol a gateway”, run the command it gives on the gateway, and start its agent: it
              appears here with its first report.
            </>
          )}
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <div class="dense">
          <Table
            noun="gateway"
            columns={COLUMNS}
            rows={rows}
            total={filtered ? rows.length : (query.data?.totalSize ?? 0)}
            keyOf={(row) => row.gateway.name}
            onOpen={(row) => route(gatewayAddress(row.gateway.name))}
          />
        </div>
      )}
      {enrolling && (
        <EnrolDialog
          sites={[...new Set(all?.map((r) => r.gateway.site))]}
          onClose={() => setEnrolling(false)}
        />
      )}
    </>
  );
}
