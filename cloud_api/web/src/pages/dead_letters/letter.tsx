import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Actions } from "../../components/actions";
import { Empty, Failed, Skeleton } from "../../components/states";
import { Time } from "../../components/time";
import { type DeadLetterStep, getDeadLetter, replayDeadLetter, type SetAsideMessage } from "../../contracts";
import {
  ACTIONS,
  addressOf,
  idOf,
  isWaiting,
  outcomeWord,
  reasonWord,
  whereOf,
} from "../../dead_letters/letters";
import { bytes, initial } from "../../format";
import { useEvery, useQuery } from "../../query";
import { allowed } from "../../session";
import { ApiError } from "../../api";
import { Changes } from "./changes";
import { Decoded, type Span } from "./decoded";
import { FixDialog } from "./fix_dialog";
import { Hex } from "./hex";
import { StateMark } from "./state_mark";

const WAITING_MS = 1000;

function Step({ step }: { step: DeadLetterStep }) {
  return (
    <li class="step">
      <div>
        <strong>{initial(step.action.toLowerCase())}</strong>{" "}
        {step.outcome !== "REPLAY_OUTCOME_UNSPECIFIED" && <>{outcomeWord(step.outcome)} </>}
        {step.next ? (
          <>
            as <a href={addressOf(step.next)}>{idOf(step.next)}</a>
          </>
        ) : (
          step.outcomeDetail && <span class="quiet">({step.outcomeDetail})</span>
        )}
      </div>
      <div class="quiet">
        <Time at={step.time} seconds /> by {step.principal}
        {step.run && " in a run over many"}: {step.reason}
      </div>
      {step.changes.length > 0 && <Changes of={step.changes} />}
    </li>
  );
}

function Facts({ letter }: { letter: SetAsideMessage }) {
  const rows: readonly (readonly [string, ComponentChildren])[] = [
    ["Topic", letter.topic && <code class="breaks">{letter.topic}</code>],
    ["Received", <Time key="time" at={letter.receiveTime} seconds />],
    ["Where", whereOf(letter)],
    ["Size", bytes(letter.sizeBytes)],
    ["In the log", letter.logSequence === "0" ? "" : `number ${letter.logSequence}`],
    ["Trace", letter.traceId && <code class="breaks">{letter.traceId}</code>],
    ["Replay of", letter.replayOf && <a href={addressOf(letter.replayOf)}>{idOf(letter.replayOf)}</a>],
  ];
  return (
    <dl class="letter-facts">
      {rows
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** One dead letter: why, what to do, its bytes beside what they mean, and what was done about it. */
export function DeadLetterPage({ id }: { id: string }) {
  const name = `deadLetters/${decodeURIComponent(id)}`;
  const query = useQuery((stop) => getDeadLetter({ name }, stop), name);
  const [pointed, setPointed] = useState<Span>();
  const [fixing, setFixing] = useState(false);
  const letter = query.data;
  useEvery(letter && isWaiting(letter) ? WAITING_MS : 0, query.reload);
  if (query.error && !letter) {
    const gone = query.error instanceof ApiError && query.error.status === 404;
    return (
      <>
        <div class="page-head">
          <h1>Dead letter</h1>
          <a href="/set-aside">All dead letters</a>
        </div>
        {gone ? (
          <Empty title="There is no such dead letter.">
            The log holds them for a while only, and a person those of their own sites.
          </Empty>
        ) : (
          <Failed error={query.error} retry={query.reload} />
        )}
      </>
    );
  }
  if (!letter) return <Skeleton />;
  const fixable = letter.reason !== "REJECTED" && !letter.replayRefusal && allowed(replayDeadLetter.scope);
  return (
    <>
      <p class="small">
        <a href="/set-aside">Dead letters</a>
      </p>
      <div class="page-head">
        <h1>{reasonWord(letter.reason)}</h1>
        <StateMark of={letter} />
        <div class="last actions">
          {fixable && (
            <button type="button" class="button" onClick={() => setFixing(true)}>
              Fix…
            </button>
          )}
          <Actions
            resource={letter}
            state={letter.state}
            title={idOf(letter.name)}
            actions={ACTIONS}
            onDone={query.set}
            onRefused={query.reload}
          />
        </div>
      </div>
      <div class="columns letter-top">
        <section class="section">
          <h2>What is wrong</h2>
          <p class="breaks">{initial(letter.detail)}.</p>
          <p class="quiet">{letter.explanation}</p>
          <h2 class="next">What to do</h2>
          <p>{letter.advice}</p>
        </section>
        <section class="section">
          <h2>Where it came from</h2>
          <Facts letter={letter} />
        </section>
      </div>
      {letter.decoded ? (
        <div class="letter-payload">
          <section class="section panel">
            <h2>Decoded</h2>
            <Decoded payload={letter.decoded} onPoint={setPointed} />
          </section>
          <section class="section panel">
            <h2>Bytes</h2>
            <Hex payload={letter.payload} pointed={pointed} fault={letter.decoded.fault?.offset} />
          </section>
        </div>
      ) : (
        <Empty title="Its bytes are no longer in the log.">What is known of it is above.</Empty>
      )}
      <section class="section">
        <h2>What was done</h2>
        {letter.history.length === 0 ? (
          <p class="quiet">Nothing yet. Replay it, fix it first, or discard it.</p>
        ) : (
          <ol class="steps">
            {letter.history.map((step) => (
              <Step key={`${step.time}${step.action}`} step={step} />
            ))}
          </ol>
        )}
      </section>
      {fixing && <FixDialog letter={letter} onDone={query.set} onClose={() => setFixing(false)} />}
    </>
  );
}
