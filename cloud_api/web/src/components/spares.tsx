import { type FailureMode, listParts, listSpares, type Part, type Spare } from "../contracts";
import { decimal, initial } from "../format";
import { useQuery } from "../query";
import { failureModeWord, idOf } from "../words";
import { Empty, Failed, Skeleton } from "./states";

/** On hand, free, reserved and on order against the point of reorder. */
export function Stock({ part }: { part: Part }) {
  const short = Number(part.availableQuantity) <= Number(part.reorderPoint);
  return (
    <span class="num">
      <span class={short ? "strong" : ""}>{decimal(part.availableQuantity)}</span>
      <span class="quiet">
        {" "}
        free of {decimal(part.onHandQuantity)} {part.unit}
        {Number(part.onOrderQuantity) > 0 ? `, ${decimal(part.onOrderQuantity)} on order` : ""}
      </span>
    </span>
  );
}

/** Return each part once, with every failure mode that needs it. */
function byPart(spares: readonly Spare[]): [Spare, FailureMode[]][] {
  const found = new Map<string, [Spare, FailureMode[]]>();
  for (const spare of spares) {
    const known = found.get(spare.part);
    if (known) known[1].push(spare.failureMode);
    else found.set(spare.part, [spare, [spare.failureMode]]);
  }
  return [...found.values()];
}

/** The parts a machine may need, by what would have failed, and whether they lie ready. */
export function Spares({ tag, equipmentClass, site }: { tag: string; equipmentClass: string; site: string }) {
  const key = `spares ${site} ${tag} ${equipmentClass}`;
  const { data, error, reload } = useQuery(
    async (stop) => {
      const [own, shared, parts] = await Promise.all([
        listSpares({ equipment: tag, site, pageSize: 200 }, stop),
        equipmentClass ? listSpares({ equipmentClass, site, pageSize: 200 }, stop) : { spares: [] },
        listParts({ site, pageSize: 1000 }, stop),
      ]);
      const spares = new Map([...own.spares, ...shared.spares].map((s) => [s.name, s]));
      return { spares: [...spares.values()], parts: new Map(parts.parts.map((p) => [p.name, p])) };
    },
    key,
    ["supply_chain."],
  );
  if (error) return <Failed error={error} retry={reload} />;
  if (!data) return <Skeleton lines={3} />;
  if (!data.spares.length)
    return (
      <Empty title="No spare is listed for it.">
        The bill of spares says which parts each failure mode of a machine needs.
      </Empty>
    );
  return (
    <ul class="rows">
      {byPart(data.spares).map(([spare, modes]) => {
        const part = data.parts.get(spare.part);
        return (
          <li key={spare.part}>
            <a href={`/stores?part=${encodeURIComponent(idOf(spare.part))}`}>{idOf(spare.part)}</a>
            <span class="grow">
              {part?.displayName} <span class="quiet">× {decimal(spare.quantity)}</span>
            </span>
            <span class="quiet">
              {initial(modes.map((m) => failureModeWord(m).toLowerCase()).join(", "))}
            </span>
            {part && <Stock part={part} />}
          </li>
        );
      })}
    </ul>
  );
}
