import { useState } from "preact/hooks";
import { readFilters } from "../../address";
import { FilterBar, useSearch } from "../../components/filters";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import { Time } from "../../components/time";
import { createRollout, type Gateway, listGateways, listReleases, type Release } from "../../contracts";
import { isTrying, runningOn } from "../../fleet/plan";
import { bytes, utc } from "../../format";
import { useQuery } from "../../query";
import { lacking } from "../../session";
import { person } from "../../words";
import { Lacking } from "./lacking";
import { RolloutDialog } from "./rollout_dialog";

const FILTERS = [
  {
    name: "kind",
    label: "Kind",
    choices: [
      { value: "model", label: "Models" },
      { value: "configuration", label: "Configurations" },
    ],
  },
] as const;

const kindWord = (r: Release): string =>
  r.kind === "RELEASE_KIND_CONFIGURATION" ? "configuration" : "model";

/** What was signed and published, and can be rolled out. */
export function ReleasesView() {
  const { search } = useSearch();
  const [planning, setPlanning] = useState<Release>();
  const kinds = readFilters(search, ["kind"]).kind;
  const query = useQuery((stop) => listReleases({ pageSize: 500 }, stop), "releases", ["fleet.rollout."]);
  const gateways = useQuery((stop) => listGateways({ pageSize: 1000 }, stop), "gateways of releases", [
    "fleet.gateway.",
  ]).data?.gateways;
  const rows = query.data?.releases.filter((r) => !kinds.length || kinds.includes(kindWord(r)));
  const refusal = lacking(createRollout.scope);
  const columns = columnsOf(gateways, refusal, setPlanning);
  return (
    <>
      <div class="page-head">
        <FilterBar filters={FILTERS} />
        <Lacking of={createRollout} />
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!rows && !query.error && <Skeleton />}
      {rows?.length === 0 && (
        <Empty title={kinds.length ? "No release is like that." : "Nothing is published yet."}>
          {kinds.length ? (
            <a href="/fleet?view=releases">Show every release</a>
          ) : (
            <>
              Who holds the keys (<code>headrace fleet keys init</code> makes them) signs and publishes with{" "}
              <code>headrace fleet publish KEYS --model fan.tflite</code>; gateways take nothing that is not
              signed.
            </>
          )}
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <div class="dense">
          <Table
            noun="release"
            columns={columns}
            rows={rows}
            total={kinds.length ? rows.length : (query.data?.totalSize ?? 0)}
            keyOf={(r) => r.name}
          />
        </div>
      )}
      {planning && (
        <RolloutDialog
          release={planning}
          releases={query.data?.releases ?? []}
          gateways={gateways ?? []}
          onClose={() => setPlanning(undefined)}
        />
      )}
    </>
  );
}

function columnsOf(
  gateways: readonly Gateway[] | undefined,
  refusal: string,
  plan: (release: Release) => void,
): readonly Column<Release>[] {
  const running = (r: Release): number =>
    (gateways ?? []).filter((g) => runningOn(g, r) === r.version).length;
  return [
    {
      title: "What",
      class: "wide",
      cell: (r) => (
        <>
          <strong>{r.subject.replaceAll("_", " ")}</strong> <span class="num">{r.version}</span>
        </>
      ),
      text: (r) => `${r.subject} ${r.version}`,
    },
    { title: "Kind", cell: kindWord, text: kindWord },
    {
      title: "Runs on",
      class: "num",
      cell: (r) => {
        if (!gateways) return <span class="quiet none">–</span>;
        const count = running(r);
        const trying = gateways.filter((g) => isTrying(g, r)).length;
        return (
          <>
            {count > 0 && (
              <a href={`/fleet?installed=${encodeURIComponent(`${r.subject}@${r.version}`)}`}>
                {count} {count === 1 ? "gateway" : "gateways"}
              </a>
            )}
            {count > 0 && trying > 0 && ", "}
            {trying > 0 && `${trying} on trial`}
            {!count && !trying && <span class="quiet">no gateway</span>}
          </>
        );
      },
      text: (r) => String(running(r)),
    },
    { title: "Size", class: "right num", cell: (r) => bytes(Number(r.sizeBytes)), text: (r) => r.sizeBytes },
    {
      title: "SHA-256",
      cell: (r) => <code title={r.sha256}>{r.sha256.slice(0, 12)}</code>,
      text: (r) => r.sha256,
    },
    { title: "Published by", cell: (r) => person(r.publisher), text: (r) => r.publisher },
    {
      title: "Published",
      cell: (r) => <Time at={r.createTime} />,
      text: (r) => (r.createTime ? utc(Date.parse(r.createTime)) : ""),
    },
    {
      title: "Next",
      cell: (r) => (
        <button
          type="button"
          class="button"
          disabled={refusal !== ""}
          title={refusal || undefined}
          onClick={() => plan(r)}
        >
          Roll out…
        </button>
      ),
    },
  ];
}
