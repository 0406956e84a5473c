import { useRoute } from "preact-iso";
import { Actions } from "../../components/actions";
import { SeverityMark } from "../../components/marks";
import { Empty, Failed, Skeleton } from "../../components/states";
import { Time } from "../../components/time";
import { type Gateway, getRollout, listGateways, listRolloutGateways, type Rollout } from "../../contracts";
import { ROLLOUT_ACTIONS } from "../../fleet/actions";
import { limitsOf, measuresOf } from "../../fleet/health";
import { stagesOf } from "../../fleet/stages";
import { duration } from "../../format";
import { useEvery, useQuery } from "../../query";
import { serverNow } from "../../ticking";
import { person } from "../../words";
import { RolloutStateText } from "./marks";
import { RolloutGateways } from "./rollout_gateways";
import { StageCards } from "./stage_bar";

const PAGE = 1000;
const ROLLING_MS = 5000;

const STOPPED = ["ROLLOUT_STATE_HALTED", "ROLLOUT_STATE_REVERTED"];

function Why({ rollout }: { rollout: Rollout }) {
  if (!rollout.reason) return null;
  const stopped = STOPPED.includes(rollout.state);
  return (
    <section class="section wrong" aria-label="Why">
      <p class="with-mark">
        {stopped && <SeverityMark severity="SEVERITY_HIGH" />}
        <span>{rollout.reason}</span>
      </p>
    </section>
  );
}

function Measures({ rollout, data }: { rollout: Rollout; data: Data }) {
  const taken = data.taken.filter((g) => g.stage <= rollout.stage && g.state !== "waiting");
  const measures = measuresOf(rollout, taken, data.gateways, serverNow.value);
  const { revert } = limitsOf(rollout.healthRule);
  return (
    <section class="section">
      <h2>Health of this stage</h2>
      <div class="measures">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Measure</th>
              <th scope="col" class="right">
                Now
              </th>
              <th scope="col" class="right">
                Limit
              </th>
            </tr>
          </thead>
          <tbody>
            {measures.map((m) => (
              <tr key={m.name}>
                <td>{m.name}</td>
                <td class="right num">
                  <span class="with-mark">
                    {m.bad && <SeverityMark severity="SEVERITY_HIGH" />}
                    <span class={m.bad ? "strong" : ""}>{m.measured}</span>
                  </span>
                </td>
                <td class="right num quiet">{m.limit}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p class="quiet small">
          {revert
            ? "Beyond a limit it halts by itself, and every gateway goes back."
            : "Beyond a limit it halts by itself; the gateways that have it keep it."}
        </p>
      </div>
    </section>
  );
}

function Plan({ rollout }: { rollout: Rollout }) {
  const { soakMs } = limitsOf(rollout.healthRule);
  return (
    <section class="section">
      <h2>Plan</h2>
      <dl class="pairs">
        <dt>Site</dt>
        <dd>{rollout.site}</dd>
        <dt>Groups</dt>
        <dd>{rollout.groups.join(", ")}</dd>
        <dt>Before it</dt>
        <dd>{rollout.previousVersion || "what the agent ships with"}</dd>
        <dt>Soak time</dt>
        <dd>{duration(soakMs)} in each stage</dd>
        <dt>Takes part</dt>
        <dd class="num">
          {rollout.progress?.gatewayCount ?? 0} of {rollout.progress?.totalCount ?? 0} gateways
        </dd>
      </dl>
    </section>
  );
}

function History({ rollout }: { rollout: Rollout }) {
  return (
    <section class="section">
      <h2>History</h2>
      <ol class="history">
        {rollout.history.map((step, i) => (
          <li key={i}>
            <Time at={step.createTime} seconds />
            <span>{step.action}</span>
            <span class="quiet num">
              {step.actor.startsWith("modules/") ? "by its health rule" : person(step.actor)}
              {step.percent > 0 && `, ${step.percent}\u202f%`}
            </span>
            {step.detail && <span class="history-detail">{step.detail}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}

interface Data {
  rollout: Rollout;
  taken: Awaited<ReturnType<typeof listRolloutGateways>>["gateways"];
  gateways: Gateway[];
}

function Detail({ data }: { data: Data }) {
  const { rollout, taken } = data;
  return (
    <>
      <Why rollout={rollout} />
      <section class="section">
        <h2>Stages</h2>
        <StageCards
          stages={stagesOf(rollout, rollout.state === "ROLLOUT_STATE_PLANNED" ? [] : taken)}
          planned={rollout.state === "ROLLOUT_STATE_PLANNED"}
        />
      </section>
      <div class="columns judged">
        <Measures rollout={rollout} data={data} />
        <Plan rollout={rollout} />
        <History rollout={rollout} />
      </div>
      <section class="section">
        <h2>Gateways</h2>
        {taken.length ? (
          <RolloutGateways rollout={rollout} taken={taken} gateways={data.gateways} />
        ) : (
          <Empty title={`No gateway of ${rollout.site} is in ${rollout.groups.join(", ")}.`}>
            A gateway’s group is in its own file, <code>[fleet] group</code>; enrol one, or plan for another
            group.
          </Empty>
        )}
      </section>
    </>
  );
}

/** One rollout: how far it is, how its gateways do, and what was done to it. */
export function RolloutPage() {
  const name = `rollouts/${decodeURIComponent(useRoute().params["id"] ?? "")}`;
  const query = useQuery(
    async (stop): Promise<Data> => {
      const rollout = await getRollout({ name }, stop);
      const [{ gateways: taken }, { gateways }] = await Promise.all([
        listRolloutGateways({ rollout: name, pageSize: PAGE }, stop),
        listGateways({ site: rollout.site, pageSize: PAGE }, stop),
      ]);
      return { rollout, taken, gateways };
    },
    name,
    ["fleet.rollout.", "fleet.gateway."],
  );
  const rollout = query.data?.rollout;
  useEvery(rollout?.state === "ROLLOUT_STATE_ROLLING" ? ROLLING_MS : 0, query.reload);
  return (
    <>
      <div class="page-head">
        <h1>{rollout ? `${rollout.subject.replaceAll("_", " ")} ${rollout.version}` : "Rollout"}</h1>
        {rollout && (
          <>
            <RolloutStateText state={rollout.state} />
            <Actions
              resource={rollout}
              state={rollout.state}
              title={`${rollout.subject} ${rollout.version}`}
              actions={ROLLOUT_ACTIONS}
              onDone={(next) => {
                query.set({ ...query.data!, rollout: next });
                query.reload();
              }}
              onRefused={query.reload}
            />
          </>
        )}
      </div>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!query.data && !query.error && <Skeleton lines={12} />}
      {query.data && <Detail data={query.data} />}
    </>
  );
}
