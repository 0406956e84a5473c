import { type Equipment, listSeries, queryPoints } from "./contracts";
import { keySeriesOf } from "./machine_state";
import { prefill } from "./points";

/** What a trend in a tile looks back at. */
const BACK_MS = 10 * 60_000;
const POINTS = 60;
/** Requests at a time, so that a plant of many machines does not crowd out the person's own. */
const ABREAST = 3;

const done = new Set<string>();
const waiting: (() => Promise<void>)[] = [];
let running = 0;

/** Someone else signs in: begin anew. */
export function forgetPrefills(): void {
  done.clear();
  waiting.length = 0;
}

function next(): void {
  const job = running < ABREAST ? waiting.shift() : undefined;
  if (!job) return;
  running += 1;
  void job().finally(() => {
    running -= 1;
    next();
  });
}

async function read({ tag, site }: Equipment): Promise<void> {
  const { series } = await listSeries({ equipment: tag, site });
  const all = series.map((s) => ({
    name: s.series,
    unit: s.unit,
    aggregated: s.aggregated,
    last: Date.parse(s.lastTime ?? ""),
  }));
  const wanted = [...keySeriesOf(all), ...all.filter((s) => s.name === "health")];
  for (const { last, ...info } of wanted) {
    if (!Number.isFinite(last)) continue;
    const answer = await queryPoints({
      equipment: tag,
      site,
      series: info.name,
      startTime: new Date(last - BACK_MS).toISOString(),
      endTime: new Date(last + 1).toISOString(),
      maxPoints: POINTS,
    });
    prefill(tag, info, { ...answer, time: answer.timeMs.map(Number) });
  }
}

/** Put the historian's last minutes under a machine's live values, once. */
export function prefillMachine(equipment: Equipment): void {
  if (done.has(equipment.tag)) return;
  done.add(equipment.tag);
  waiting.push(async () => {
    // A machine without a past is a machine without a past: the live values say the rest.
    await read(equipment).catch(() => done.delete(equipment.tag));
  });
  next();
}
