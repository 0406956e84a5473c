import { readFilters } from "../address";
import { FilterBar, useSearch } from "../components/filters";
import { Empty, Skeleton } from "../components/states";
import { Tile } from "../components/tile";
import type { Equipment } from "../contracts";
import { initial } from "../format";
import { hierarchy, isUnder, itemsUnder, type Level } from "../hierarchy";
import { equipment, worstAlarm } from "../store";

const FILTERS = [
  { name: "show", label: "Show", choices: [{ value: "abnormal", label: "Abnormal only" }] },
] as const;

const link = (path: string): string => `/?under=${path.split("/").map(encodeURIComponent).join("/")}`;

/** A line with its machines; the cell of each is in its tile's place. */
function Line({ level }: { level: Level<Equipment> }) {
  return (
    <section class="line" aria-label={level.label}>
      <h3>
        <a href={link(level.path)}>{initial(level.label.replaceAll("-", " "))}</a>
      </h3>
      <div class="tiles">
        {itemsUnder(level).map((item) => (
          <Tile key={item.name} equipment={item} />
        ))}
      </div>
    </section>
  );
}

function Area({ level }: { level: Level<Equipment> }) {
  const all = itemsUnder(level);
  const abnormal = all.filter((e) => worstAlarm.value.has(e.tag)).length;
  return (
    <section class="area" aria-label={level.label}>
      <h2>
        <a href={link(level.path)}>{initial(level.label.replaceAll("-", " "))}</a>
        <span class="quiet num">
          {all.length} {all.length === 1 ? "machine" : "machines"}
          {abnormal ? `, ${abnormal} abnormal` : ""}
        </span>
      </h2>
      {level.items.length > 0 && (
        <div class="tiles">
          {level.items.map((item) => (
            <Tile key={item.name} equipment={item} />
          ))}
        </div>
      )}
      <div class="lines">
        {level.below.map((line) => (
          <Line key={line.path} level={line} />
        ))}
      </div>
    </section>
  );
}

/** Return the areas: the third level of `enterprise/site/area`, or the lowest there is above. */
function areas(level: Level<Equipment>, depth = 0): Level<Equipment>[] {
  if (depth === 3 || !level.below.length) return itemsUnder(level).length ? [level] : [];
  const here = level.items.length ? [{ ...level, below: [] }] : [];
  return [...here, ...level.below.flatMap((l) => areas(l, depth + 1))];
}

function Overview({ all }: { all: Equipment[] }) {
  const { search } = useSearch();
  const under = new URLSearchParams(search).get("under") ?? "";
  const abnormalOnly = readFilters(search, ["show"]).show.includes("abnormal");
  const shown = all.filter((e) => isUnder(e.path, under) && (!abnormalOnly || worstAlarm.value.has(e.tag)));
  const abnormal = all.filter((e) => worstAlarm.value.has(e.tag)).length;
  return (
    <>
      <div class="page-head">
        <h1>{under ? under.split("/").at(-1) : "Plant"}</h1>
        <p class="quiet num">
          {all.length} {all.length === 1 ? "machine" : "machines"},{" "}
          {abnormal ? `${abnormal} abnormal` : "none abnormal"}
        </p>
        {under && <a href="/">Whole plant</a>}
        <FilterBar filters={FILTERS} />
      </div>
      {shown.length ? (
        <div class="areas">
          {areas(hierarchy(shown)).map((level) => (
            <Area key={level.path} level={level} />
          ))}
        </div>
      ) : (
        <Empty title={abnormalOnly ? "No machine is abnormal." : "No machine stands here."}>
          <a href="/">Show the whole plant</a>
        </Empty>
      )}
    </>
  );
}

/** The plant by its ISA-95 hierarchy; calm while nothing is wrong. */
export function PlantPage() {
  const all = equipment.value;
  if (!all) return <Skeleton lines={10} />;
  if (!all.length)
    return (
      <>
        <div class="page-head">
          <h1>Plant</h1>
        </div>
        <Empty title="No machine has spoken yet.">
          Machines appear here with their first birth message. Start an edge agent (
          <code>python -m edge_agent</code>) or the simulated plant (<code>headrace demo</code>).
        </Empty>
      </>
    );
  return <Overview all={all} />;
}
