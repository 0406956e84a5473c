import { writeFilter } from "../../address";
import { useSearch } from "../../components/filters";
import { SeverityMark } from "../../components/marks";
import type { FlowNode } from "../../contracts";
import { breakable, count, historyPath, rate, stepWord, things } from "../../flow/figures";
import { layoutOf, type Layout, LETTERS, linesOf, type Place, type Way } from "../../flow/layout";
import { isBusy } from "../../flow/trouble";
import { percent } from "../../format";

/** Of a place, in the units of the drawing; the width stretches with the window. */
const WIDTH = 100;
const HEIGHT = 132;
const SPARK = { width: 100, height: 16 };

const isLetters = (name: string): boolean => name === LETTERS;

function pathOf(corners: Way["corners"]): string {
  return corners
    .map(([column, row], i) => `${i ? "L" : "M"}${(column + 0.5) * WIDTH} ${(row + 0.5) * HEIGHT}`)
    .join("");
}

/** The ways between the steps; what they say is said by each step, too. */
function Ways({ layout, steps }: { layout: Layout; steps: readonly FlowNode[] }) {
  const bad = new Set(steps.filter((s) => Number(s.recentDeadLetters)).map((s) => s.name));
  const letters = layout.ways.filter((w) => isLetters(w.to));
  const items = layout.ways.filter((w) => !isLetters(w.to));
  return (
    <svg
      class="flow-ways"
      viewBox={`0 0 ${layout.columns * WIDTH} ${layout.rows * HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {linesOf(letters).map((line) => (
        <path key={pathOf(line)} class="flow-way flow-way-aside" d={pathOf(line)} />
      ))}
      {items.map(({ from, to, corners }) => (
        <path key={`${from} ${to}`} class="flow-way" d={pathOf(corners)} />
      ))}
      {letters
        .filter((way) => bad.has(way.from))
        .map(({ from, corners }) => (
          <path key={from} class="flow-way flow-way-bad" d={pathOf(corners)} />
        ))}
    </svg>
  );
}

function Spark({ history }: { history: readonly number[] }) {
  return (
    <svg
      class="flow-spark"
      viewBox={`0 -1 ${SPARK.width} ${SPARK.height + 2}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={historyPath(history, SPARK.width, SPARK.height)} />
    </svg>
  );
}

function nameOf(step: FlowNode): string {
  const said = [
    `${stepWord(step.name)}: ${rate(step.itemsPerSecond)} items a second`,
    step.busyShare === undefined ? "" : `works ${percent(step.busyShare)} of the time`,
    Number(step.recentDeadLetters)
      ? `${things(Number(step.recentDeadLetters), "dead letter")} in five minutes`
      : "",
    step.feeds.length ? `goes on to ${step.feeds.map(stepWord).join(", ")}` : "leaves the flow",
  ];
  return said.filter(Boolean).join("; ");
}

function Step({ place, chosen, fed }: { place: Place; chosen: boolean; fed: string }) {
  const { search } = useSearch();
  const { node } = place;
  const letters = Number(node.recentDeadLetters);
  const busy = isBusy(node.busyShare);
  const classes = ["flow-step", fed && "flow-fed", place.row > 0 && "flow-aside", chosen && "flow-chosen"];
  return (
    <li
      class={classes.filter(Boolean).join(" ")}
      style={{ gridColumn: place.column + 1, gridRow: place.row + 1 }}
    >
      <a
        class="flow-card"
        href={`/flow${writeFilter(search, "step", chosen ? [] : [node.name])}`}
        aria-current={chosen ? "true" : undefined}
        aria-label={nameOf(node)}
        title={`${count(Number(node.items))} items since the start`}
      >
        <span class="flow-title">{breakable(stepWord(node.name))}</span>
        {fed && place.row > 0 && <span class="flow-from quiet">from {fed}</span>}
        <span class="flow-rate num">
          <strong>{rate(node.itemsPerSecond)}</strong>
          <span class="quiet">/s</span>
        </span>
        <Spark history={node.history} />
        <span class="flow-busy num">
          <span class="flow-track">
            <span
              class={busy ? "flow-fill flow-fill-busy" : "flow-fill"}
              style={{ width: `${Math.min(1, node.busyShare ?? 0) * 100}%` }}
            />
          </span>
          {busy && <SeverityMark severity="SEVERITY_MEDIUM" />}
          <span class={busy ? "strong" : "quiet"}>{percent(node.busyShare ?? NaN)}</span>
        </span>
        {letters > 0 && (
          <span class="flow-letters num with-mark">
            <SeverityMark severity="SEVERITY_MEDIUM" />
            {count(letters)}
          </span>
        )}
      </a>
    </li>
  );
}

/** The steps from the log on the left to where effects leave on the right; on a phone from top down. */
export function Diagram({ steps, chosen }: { steps: readonly FlowNode[]; chosen: string | undefined }) {
  const layout = layoutOf(steps);
  const feeders = (name: string): string =>
    steps
      .filter((s) => s.feeds.includes(name))
      .map((s) => stepWord(s.name))
      .join(", ");
  const fedBy = ({ node }: Place): string => {
    if (isLetters(node.name)) return "every step that cannot use a message";
    return feeders(node.name);
  };
  const order = [...layout.places].sort(
    (a, b) => Number(isLetters(a.node.name)) - Number(isLetters(b.node.name)),
  );
  return (
    <div class="flow-box">
      <div class="flow-plan">
        <Ways layout={layout} steps={steps} />
        <ol
          class="flow-steps"
          style={{ gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))` }}
          aria-label="Steps from the log to where effects leave"
        >
          {order.map((place) => (
            <Step
              key={place.node.name}
              place={place}
              chosen={place.node.name === chosen}
              fed={fedBy(place)}
            />
          ))}
        </ol>
      </div>
      <p class="flow-legend quiet small">
        Items a second over the last five seconds, the way of the last five minutes, and how much of its time
        the busiest partition spends in a step.{" "}
        <span class="flow-dashed">Dashed: messages that cannot be used.</span> Choose a step to see it by
        partition.
      </p>
    </div>
  );
}
