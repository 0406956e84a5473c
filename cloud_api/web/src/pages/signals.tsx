import { useMemo } from "preact/hooks";
import { readFilters, toggled, writeFilter } from "../address";
import { useSearch } from "../components/filters";
import { Empty, Skeleton } from "../components/states";
import { Trend } from "../components/trend";
import { type Equipment, listSeries } from "../contracts";
import { useQuery } from "../query";
import { equipment } from "../store";

/** `P-101~Discharge Pressure` in the address is one chart. */
const PARTED = "~";

function Picker({
  item,
  chosen,
  pick,
}: {
  item: Equipment;
  chosen: readonly string[];
  pick: (name: string) => void;
}) {
  const { data } = useQuery((stop) => listSeries({ equipment: item.tag, site: item.site }, stop), item.name);
  if (!data) return <Skeleton lines={2} />;
  if (!data.series.length) return <p class="quiet">Nothing measured yet.</p>;
  return (
    <div class="chips">
      {data.series.map(({ series }) => (
        <button
          key={series}
          type="button"
          class="chip"
          aria-pressed={chosen.includes(`${item.tag}${PARTED}${series}`)}
          onClick={() => pick(`${item.tag}${PARTED}${series}`)}
        >
          {series.replaceAll("_", " ")}
        </button>
      ))}
    </div>
  );
}

/** Return what is known of the chosen series of one machine. */
function Chosen({ item, names }: { item: Equipment; names: readonly string[] }) {
  const { data } = useQuery((stop) => listSeries({ equipment: item.tag, site: item.site }, stop), item.name);
  const lastTime = useMemo(
    () => Math.max(0, ...(data?.series ?? []).map((s) => Date.parse(s.lastTime ?? "") || 0)),
    [data],
  );
  if (!data) return <Skeleton lines={4} />;
  return (
    <>
      {data.series
        .filter((s) => names.includes(s.series))
        .map((s) => (
          <Trend
            key={s.series}
            tag={item.tag}
            site={item.site}
            series={{ name: s.series, unit: s.unit, aggregated: s.aggregated }}
            lastTime={lastTime}
            title={`${item.tag} ${s.series}`}
          />
        ))}
    </>
  );
}

/** Any signals side by side, over the same time; the address holds which. */
export function SignalsPage() {
  const { search, change } = useSearch();
  const all = equipment.value;
  const chosen = readFilters(search, ["s"]).s;
  const open = readFilters(search, ["of"]).of;
  if (!all) return <Skeleton lines={10} />;
  if (!all.length)
    return (
      <Empty title="No machine has spoken yet.">Signals appear with the first block of a machine.</Empty>
    );
  const pick = (key: string): void => change(writeFilter(search, "s", toggled(chosen, key)));
  return (
    <>
      <div class="page-head">
        <h1>Signals</h1>
        <div class="filters">
          <div class="filter" role="group" aria-label="Machine">
            <span class="filter-label">Machine</span>
            {all.map((e) => (
              <button
                key={e.name}
                type="button"
                class="chip"
                aria-pressed={open.includes(e.tag)}
                onClick={() => change(writeFilter(search, "of", toggled(open, e.tag)))}
              >
                {e.tag}
              </button>
            ))}
          </div>
        </div>
      </div>
      {all
        .filter((e) => open.includes(e.tag))
        .map((e) => (
          <section key={e.name} class="picked" aria-label={e.tag}>
            <h2>{e.tag}</h2>
            <Picker item={e} chosen={chosen} pick={pick} />
          </section>
        ))}
      {!chosen.length && (
        <Empty title="No signal is chosen.">
          Choose a machine, then its signals; the address keeps what you see, so that you can send it.
        </Empty>
      )}
      <div class="charts">
        {all.map((e) => {
          const names = chosen
            .filter((c) => c.startsWith(`${e.tag}${PARTED}`))
            .map((c) => c.slice(e.tag.length + 1));
          return names.length ? <Chosen key={e.name} item={e} names={names} /> : null;
        })}
      </div>
    </>
  );
}
