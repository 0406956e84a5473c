import { useMemo } from "preact/hooks";
import { useRoute } from "preact-iso";
import { Actions } from "../components/actions";
import { Conversation, History } from "../components/conversation";
import { FeatureTable } from "../components/features";
import { SeverityMark, Sla, TicketStateText } from "../components/marks";
import { Health } from "../components/position";
import { Empty, Failed, Skeleton } from "../components/states";
import { Time } from "../components/time";
import { Trend } from "../components/trend";
import { Waveform } from "../components/waveform";
import {
  type Alarm,
  type FeatureEvidence,
  getAlarm,
  getTicket,
  listReservations,
  listRequisitions,
  listSeries,
  type Ticket,
} from "../contracts";
import { expectation, type Shown, shownEvidence } from "../evidence";
import { decimal, hours, hoursBetween, percent } from "../format";
import { TICKET_ACTIONS } from "../lifecycle";
import { useQuery } from "../query";
import { session } from "../session";
import { readTickets } from "../store";
import {
  failureModeWord,
  idOf,
  isUnacknowledged,
  priorityWord,
  requisitionWord,
  reservationWord,
  sentence,
  severityWord,
  tone,
} from "../words";

/** How much of the trend is shown before and after the sample that raised the alarm. */
const BEFORE_MS = 20 * 60_000;
const AFTER_MS = 5 * 60_000;
const SHOWN_FEATURES = 2;
const NO_FEATURES: readonly FeatureEvidence[] = [];

function Wrong({ ticket, alarm }: { ticket: Ticket; alarm: Alarm | undefined }) {
  const advisory = ticket.advisory;
  return (
    <section class="section wrong" aria-label="What is wrong">
      <p class="lead">
        <SeverityMark
          severity={ticket.severity}
          unacknowledged={alarm !== undefined && isUnacknowledged(alarm.state)}
        />
        <span>{sentence(advisory?.summary || ticket.description || ticket.title, ticket.equipment)}</span>
      </p>
      <p class="facts quiet">
        <a href={`/equipment/${encodeURIComponent(ticket.equipment)}`}>{ticket.equipment}</a>
        <span>
          {severityWord(ticket.severity)}, {failureModeWord(ticket.failureMode).toLowerCase()}
          {advisory?.confidence ? `, ${percent(advisory.confidence)} sure` : ""}
        </span>
        {alarm?.raiseTime && (
          <span>
            since <Time at={alarm.raiseTime} seconds />
          </span>
        )}
        {ticket.advisoryCount > 1 && <span>{ticket.advisoryCount} findings</span>}
      </p>
    </section>
  );
}

type Series = { name: string; unit: string; aggregated: boolean };

function EvidenceTrend({ ticket, shown, at }: { ticket: Ticket; shown: Shown<Series>; at: number }) {
  const { feature, series, comparable } = shown;
  const fixed = useMemo(() => ({ start: at - BEFORE_MS, end: at + AFTER_MS }), [at]);
  const overlay = useMemo(
    () => ({
      ...(comparable ? expectation(feature) : {}),
      spans: [{ from: at, to: at + AFTER_MS, tone: tone(ticket.severity) }],
      flags: [{ at, label: "Alarm raised", tone: tone(ticket.severity) }],
    }),
    [feature, comparable, at, ticket.severity],
  );
  return (
    <Trend
      tag={ticket.equipment}
      site={ticket.site}
      series={series}
      title={series.name.replace("/", ", ").replaceAll("_", " ")}
      lastTime={fixed.end}
      height={190}
      overlay={overlay}
      fixed={fixed}
    />
  );
}

function EvidenceSection({ ticket, alarm }: { ticket: Ticket; alarm: Alarm | undefined }) {
  const evidence = ticket.advisory?.evidence;
  const at = Date.parse(alarm?.raiseTime ?? ticket.advisory?.windowEndTime ?? "");
  const features = evidence?.features ?? NO_FEATURES;
  const { data } = useQuery(
    (stop) => listSeries({ equipment: ticket.equipment, site: ticket.site }, stop),
    `series ${ticket.equipment} ${ticket.name}`,
  );
  const shown = useMemo(() => {
    const series = (data?.series ?? []).map(({ series: name, unit, aggregated }) => ({
      name,
      unit,
      aggregated,
    }));
    return shownEvidence(features, series, SHOWN_FEATURES);
  }, [data, features]);
  return (
    <section class="section">
      <h2>Evidence</h2>
      {!evidence && <Empty title="A person opened this ticket.">There is no measurement behind it.</Empty>}
      {features.length > 0 && <FeatureTable features={features} />}
      <div class="charts">
        {Number.isFinite(at) &&
          shown.map((s) => <EvidenceTrend key={s.series.name} ticket={ticket} shown={s} at={at} />)}
        {evidence?.waveformId && (
          <Waveform
            id={evidence.waveformId}
            tag={ticket.equipment}
            site={ticket.site}
            bearing={ticket.failureMode.includes("BEARING")}
          />
        )}
      </div>
      {evidence && (
        <p class="quiet small">
          {ticket.advisory?.rule && <>Rule {ticket.advisory.rule}. </>}
          {ticket.advisory?.modelVersion && <>Model {ticket.advisory.modelVersion}. </>}
          Window <Time at={ticket.advisory?.windowStartTime} seconds /> to{" "}
          <Time at={ticket.advisory?.windowEndTime} seconds />.
        </p>
      )}
    </section>
  );
}

function Risk({ ticket }: { ticket: Ticket }) {
  const remaining = ticket.advisory?.remainingLife;
  return (
    <section class="section">
      <h2>Risk and time left</h2>
      <dl class="pairs">
        <dt>Priority</dt>
        <dd>{priorityWord(ticket.priority)}</dd>
        <dt>Health</dt>
        <dd>
          {ticket.advisory ? <Health value={ticket.advisory.health} /> : <span class="quiet">not known</span>}
        </dd>
        <dt>Time left</dt>
        <dd>
          {remaining ? (
            <>
              <strong class="num">{hours(remaining.medianHours)}</strong>{" "}
              <span class="quiet num">
                of running; 90 %: {hoursBetween(remaining.lowerHours, remaining.upperHours)}
              </span>
            </>
          ) : (
            <span class="quiet">no trend yet to say</span>
          )}
        </dd>
        <dt>Start within</dt>
        <dd>
          <Sla clock={ticket.responseSla} />
        </dd>
        <dt>Done within</dt>
        <dd>
          <Sla clock={ticket.resolutionSla} />
        </dd>
      </dl>
    </section>
  );
}

function Steps({ ticket }: { ticket: Ticket }) {
  return (
    <section class="section">
      <h2>What to do</h2>
      {ticket.suggestedSteps.length ? (
        <ol class="steps">
          {ticket.suggestedSteps.map((step, i) => (
            <li key={i}>{step}</li>
          ))}
        </ol>
      ) : (
        <Empty title="No steps are suggested." />
      )}
    </section>
  );
}

function Parts({ ticket }: { ticket: Ticket }) {
  const query = useQuery(
    async (stop) => {
      const { reservations } = await listReservations({ ticket: ticket.name, pageSize: 100 }, stop);
      const parts = [...new Set(reservations.map((r) => r.part))];
      const lists = await Promise.all(parts.map((part) => listRequisitions({ part, pageSize: 20 }, stop)));
      return { reservations, requisitions: lists.flatMap((l) => l.requisitions) };
    },
    `parts ${ticket.name}`,
    ["supply_chain.", "maintenance.ticket."],
  );
  const { data } = query;
  return (
    <section class="section">
      <h2>Parts and people</h2>
      <dl class="pairs">
        <dt>Who does it</dt>
        <dd>{ticket.assignee || <span class="quiet">nobody yet</span>}</dd>
        {ticket.scheduledStartTime && (
          <>
            <dt>Planned for</dt>
            <dd>
              <Time at={ticket.scheduledStartTime} />
            </dd>
          </>
        )}
      </dl>
      {query.error && <Failed error={query.error} retry={query.reload} />}
      {!data && !query.error && <Skeleton lines={2} />}
      {data?.reservations.length === 0 && (
        <Empty title="No part is reserved.">The bill of spares lists none for this failure mode.</Empty>
      )}
      {data && data.reservations.length > 0 && (
        <ul class="rows">
          {data.reservations.map((r) => (
            <li key={r.name}>
              <a href={`/stores?part=${encodeURIComponent(idOf(r.part))}`}>{idOf(r.part)}</a>
              <span class="grow num">
                {decimal(r.reservedQuantity)} of {decimal(r.quantity)}
              </span>
              <span class={r.state === "RESERVATION_STATE_SHORT" ? "pill strong" : "pill"}>
                {reservationWord(r.state)}
              </span>
            </li>
          ))}
          {data.requisitions.map((r) => (
            <li key={r.name}>
              <a href={`/stores?view=requisitions&part=${encodeURIComponent(idOf(r.part))}`}>{r.number}</a>
              <span class="grow">
                <span class="num">{decimal(r.quantity)}</span> × {idOf(r.part)}{" "}
                <span class="quiet">{r.reason}</span>
              </span>
              <span class="pill">{requisitionWord(r.state)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Outcome({ ticket }: { ticket: Ticket }) {
  if (!ticket.holdReason && !ticket.resolution) return null;
  return (
    <section class="section">
      <h2>{ticket.resolution ? "What was done" : "On hold"}</h2>
      <p>{ticket.resolution || ticket.holdReason}</p>
      {ticket.resolution && ticket.foundFailureMode !== "FAILURE_MODE_UNSPECIFIED" && (
        <p class="quiet">Found: {failureModeWord(ticket.foundFailureMode)}</p>
      )}
    </section>
  );
}

/** One work order, in the order of the questions a person has. */
export function TicketPage() {
  const name = `tickets/${decodeURIComponent(useRoute().params["id"] ?? "")}`;
  const query = useQuery((stop) => getTicket({ name }, stop), name, ["maintenance.ticket."]);
  const ticket = query.data;
  const alarm = useQuery(
    async (stop) => (ticket?.alarm ? await getAlarm({ name: ticket.alarm }, stop) : undefined),
    `alarm ${ticket?.alarm ?? ""}`,
    ["maintenance.alarm."],
  ).data;
  if (query.error && !ticket) return <Failed error={query.error} retry={query.reload} />;
  if (!ticket) return <Skeleton lines={14} />;
  const done = (next: Ticket): void => {
    query.set(next);
    void readTickets();
  };
  return (
    <>
      <div class="page-head">
        <h1>
          <span class="num">{ticket.number}</span> <span class="ticket-title">{ticket.title}</span>
        </h1>
        <TicketStateText state={ticket.state} />
        <Actions
          resource={ticket}
          state={ticket.state}
          title={ticket.number}
          actions={TICKET_ACTIONS}
          initial={{ assignee: ticket.assignee || (session.value?.user ?? "") }}
          onDone={done}
          onRefused={query.reload}
        />
      </div>
      <Wrong ticket={ticket} alarm={alarm} />
      <EvidenceSection ticket={ticket} alarm={alarm} />
      <div class="columns">
        <Risk ticket={ticket} />
        <Steps ticket={ticket} />
        <Parts ticket={ticket} />
        <Outcome ticket={ticket} />
      </div>
      <div class="columns">
        <section class="section">
          <h2>Conversation</h2>
          <Conversation ticket={ticket} />
        </section>
        <section class="section">
          <h2>History</h2>
          <History ticket={ticket} />
        </section>
      </div>
    </>
  );
}
