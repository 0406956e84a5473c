import type { FeatureEvidence } from "../contracts";
import { number, quantity } from "../format";

/** What the processor saw: the value against what was expected and the limit it crossed. */
export function FeatureTable({ features }: { features: readonly FeatureEvidence[] }) {
  return (
    <div class="table-box">
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Feature</th>
            <th scope="col" class="right">
              Value
            </th>
            <th scope="col" class="right">
              Usual
            </th>
            <th scope="col" class="right">
              Limit
            </th>
            <th
              scope="col"
              class="right desk-only"
              title="Distance from the usual value in its standard deviations"
            >
              Deviations
            </th>
          </tr>
        </thead>
        <tbody>
          {features.map((f) => (
            <tr key={`${f.channel}/${f.feature}`}>
              <td>
                {f.channel} <span class="quiet">{f.feature.replaceAll("_", " ")}</span>
              </td>
              <td class="right num strong">{quantity(f.value, f.unit)}</td>
              <td class="right num">{quantity(f.baseline, f.unit)}</td>
              <td class="right num">{f.limit ? quantity(f.limit, f.unit) : "–"}</td>
              <td class="right num desk-only">{f.score ? number(f.score) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
