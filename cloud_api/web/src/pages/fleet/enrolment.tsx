import { useState } from "preact/hooks";
import { readFilters } from "../../address";
import { Actions } from "../../components/actions";
import { FilterBar, useSearch } from "../../components/filters";
import { Empty, Failed, Skeleton } from "../../components/states";
import { type Column, Table } from "../../components/table";
import { Time } from "../../components/time";
import { type EnrolmentToken, issueEnrolmentToken, listEnrolmentTokens } from "../../contracts";
import { TOKEN_ACTIONS } from "../../fleet/actions";
import { duration, utc } from "../../format";
import { useQuery } from "../../query";
import { lacking } from "../../session";
import { serverNow } from "../../ticking";
import { person } from "../../words";
import { EnrolDialog } from "./enrol_dialog";
import { Lacking } from "./lacking";
import { gatewayAddress, nodeOf } from "./views";

const FILTERS = [
  { name: "all", label: "Show", choices: [{ value: "yes", label: "Used and expired too" }] },
] as const;

const isOpen = (t: EnrolmentToken): boolean =>
  !t.useTime && !t.revokeTime && Date.parse(t.expireTime ?? "") > serverNow.value;

function StateCell({ token }: { token: EnrolmentToken }) {
  if (token.useTime)
    return (
      <>
        Enrolled <a href={gatewayAddress(token.gateway)}>{nodeOf(token.gateway)}</a>{" "}
        <span class="quiet">
          <Time at={token.useTime} />
        </span>
      </>
    );
  if (token.revokeTime) return <span class="quiet">Revoked</span>;
  const left = Date.parse(token.expireTime ?? "") - serverNow.value;
  return left > 0 ? <span>Good for {duration(left)}</span> : <span class="quiet">Expired</span>;
}

/** One-time tokens that let gateways in; the tokens themselves are shown once, when they are issued. */
export function EnrolmentView() {
  const { search } = useSearch();
  const [enrolling, setEnrolling] = useState(false);
  const all = readFilters(search, ["all"]).all.length > 0;
  const query = useQuery((stop) => listEnrolmentTokens({ all, pageSize: 500 }, stop), `tokens ${all}`, [
    "fleet.gateway.",
  ]);
  const rows = query.data?.enrolmentTokens;
  const refusal = lacking(issueEnrolmentToken.scope);
  const columns: readonly Column<EnrolmentToken>[] = [
    {
      title: "For edge node",
      class: "wide",
      cell: (t) => <strong>{t.edgeNode}</strong>,
      text: (t) => t.edgeNode,
    },
    { title: "Site", cell: (t) => t.site, text: (t) => t.site },
    {
      title: "State",
      cell: (t) => <StateCell token={t} />,
      text: (t) => (t.useTime ? "used" : t.revokeTime ? "revoked" : ""),
    },
    { title: "Issued by", cell: (t) => person(t.creator), text: (t) => t.creator },
    {
      title: "Issued",
      cell: (t) => <Time at={t.createTime} />,
      text: (t) => (t.createTime ? utc(Date.parse(t.createTime)) : ""),
    },
    {
      title: "Until",
      cell: (t) => <Time at={t.expireTime} />,
      text: (t) => (t.expireTime ? utc(Date.parse(t.expireTime)) : ""),
    },
    {
      title: "Next",
      cell: (t) =>
        isOpen(t) && (
          <Actions
            resource={t}
            state="open"
            title={`The token for ${t.edgeNode}`}
            actions={TOKEN_ACTIONS}
            brief
            onDone={query.reload}
            onRefused={query.reload}
          />
        ),
    },
  ];
  return (
    <>
      <div class="page-head">
        <FilterBar filters={FILTERS} />
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
        <Empty title={all ? "No token was ever issued." : "No token waits to be used."}>
          “Enrol a gateway” issues one: it lets one gateway get its own certificate, once.
        </Empty>
      )}
      {rows && rows.length > 0 && (
        <div class="dense">
          <Table
            noun="token"
            columns={columns}
            rows={rows}
            total={query.data?.totalSize ?? 0}
            keyOf={(t) => t.name}
          />
        </div>
      )}
      {enrolling && (
        <EnrolDialog
          sites={[...new Set(rows?.map((t) => t.site))]}
          onClose={() => {
            setEnrolling(false);
            query.reload();
          }}
        />
      )}
    </>
  );
}
