import { useRoute } from "preact-iso";
import { Actions } from "../../components/actions";
import { SeverityMark } from "../../components/marks";
import { Empty, Failed, Skeleton } from "../../components/states";
import { Time } from "../../components/time";
import { type Gateway, getGateway } from "../../contracts";
import { GATEWAY_ACTIONS } from "../../fleet/actions";
import { type Concern, concernsOf } from "../../fleet/concerns";
import { heartbeatOf, readEvery } from "../../fleet/heartbeat";
import { useEvery, useQuery } from "../../query";
import { serverNow } from "../../ticking";
import { CommandTable } from "./command_table";
import { Facts, heartbeatFacts, machineFacts, membershipFacts } from "./gateway_facts";
import { Installations } from "./installations";
import { HeartbeatText } from "./marks";
import { fleetAddress, nodeOf } from "./views";

function Concerns({ concerns }: { concerns: readonly Concern[] }) {
  if (!concerns.length) return null;
  return (
    <section class="section wrong" aria-label="What needs a look">
      <ul class="concerns">
        {concerns.map((c) => (
          <li key={`${c.of} ${c.text}`} class="with-mark">
            <SeverityMark severity={c.severity} />
            {c.text}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Detail({ gateway, concerns }: { gateway: Gateway; concerns: readonly Concern[] }) {
  return (
    <>
      <Concerns concerns={concerns} />
      {gateway.state === "GATEWAY_STATE_REVOKED" && (
        <section class="section wrong" aria-label="Revoked">
          Revoked <Time at={gateway.revokeTime} />: {gateway.revokeReason}. The broker refuses it; only a new{" "}
          <a href={fleetAddress("enrolment")}>enrolment</a> lets it back in.
        </section>
      )}
      {!gateway.report && (
        <Empty title="It has not reported yet.">
          Start its agent with the [broker] lines that the enrolment printed; the first report comes at once.
        </Empty>
      )}
      <div class="columns">
        <Facts title="Heartbeat" facts={heartbeatFacts(gateway)} concerns={concerns} />
        {gateway.report && <Facts title="Machine" facts={machineFacts(gateway)} concerns={concerns} />}
        <Facts title="Membership" facts={membershipFacts(gateway)} concerns={concerns} />
      </div>
      <section class="section">
        <h2>Models and configuration</h2>
        <Installations gateway={gateway} />
      </section>
      <section class="section">
        <h2>Commands</h2>
        <CommandTable gateway={gateway.name} />
      </section>
    </>
  );
}

/** One gateway: how it is, what it runs, what it was told. */
export function GatewayPage() {
  const name = `gateways/${decodeURIComponent(useRoute().params["id"] ?? "")}`;
  const query = useQuery((stop) => getGateway({ name }, stop), name, ["fleet.gateway."]);
  const gateway = query.data;
  useEvery(gateway ? readEvery([gateway], serverNow.peek()) : 0, query.reload);
  const at = serverNow.value;
  return (
    <>
      <div class="page-head">
        <h1>{nodeOf(name)}</h1>
        {gateway && (
          <>
            <HeartbeatText heartbeat={heartbeatOf(gateway, at)} />
            <Actions
              resource={gateway}
              state={gateway.state}
              title={gateway.edgeNode}
              actions={GATEWAY_ACTIONS}
              initial={{ level: "debug" }}
              onDone={query.set}
              onRefused={query.reload}
            />
          </>
        )}
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!gateway && !query.error && <Skeleton lines={12} />}
      {gateway && <Detail gateway={gateway} concerns={concernsOf(gateway, at)} />}
    </>
  );
}
