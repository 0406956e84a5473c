import { Time } from "../../components/time";
import type { DecodedMetric, DecodedPayload } from "../../contracts";
import { metricName } from "../../dead_letters/letters";

/** A part of the payload that the reader points at. */
export interface Span {
  offset: number;
  size: number;
}

function Value({ of }: { of: DecodedMetric }) {
  if (of.isNull) return <span class="quiet">null</span>;
  return (
    <>
      <code class="breaks">{of.value}</code>
      {of.count > 0 && <span class="quiet nowrap"> {of.count} values</span>}
    </>
  );
}

function Row({ metric, onPoint }: { metric: DecodedMetric; onPoint: (at: Span | undefined) => void }) {
  const point = (): void => onPoint({ offset: metric.offset, size: metric.sizeBytes });
  return (
    <tr
      tabIndex={0}
      onFocus={point}
      onMouseEnter={point}
      onMouseLeave={() => onPoint(undefined)}
      onBlur={() => onPoint(undefined)}
    >
      <th scope="row">
        {metricName(metric)}
        {metric.namedByBirth && <span class="quiet small block">alias {metric.alias}</span>}
      </th>
      <td>{metric.datatype || <span class="quiet">unknown</span>}</td>
      <td>{metric.timestamp ? <Time at={metric.timestamp} seconds /> : <span class="quiet">–</span>}</td>
      <td>
        <Value of={metric} />
        {metric.problem && <strong class="problem block">{metric.problem}</strong>}
      </td>
    </tr>
  );
}

interface DecodedProps {
  payload: DecodedPayload;
  onPoint: (at: Span | undefined) => void;
}

/** A payload as far as it could be read, and where and why no further. */
export function Decoded({ payload, onPoint }: DecodedProps) {
  return (
    <>
      {payload.format === "sparkplug" && (
        <p class="quiet small">
          Sparkplug payload{payload.seq !== undefined && `, sequence ${payload.seq}`}, sent{" "}
          <Time at={payload.timestamp} seconds />.{" "}
          {payload.birthTime ? (
            <>
              Names by the birth of <Time at={payload.birthTime} seconds />.
            </>
          ) : (
            "No birth is known to name aliases by."
          )}
        </p>
      )}
      {payload.metrics.length > 0 && (
        <div class="table-box">
          <table class="metrics">
            <thead>
              <tr>
                <th scope="col">Metric</th>
                <th scope="col">Datatype</th>
                <th scope="col">Time</th>
                <th scope="col">Value</th>
              </tr>
            </thead>
            <tbody>
              {payload.metrics.map((m) => (
                <Row key={m.offset} metric={m} onPoint={onPoint} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {payload.metricsLeftOut > 0 && <p class="quiet">and {payload.metricsLeftOut} more</p>}
      {payload.text && <pre class="payload-text">{payload.text}</pre>}
      {payload.format === "bytes" && <p class="quiet">Neither Sparkplug, nor JSON, nor text.</p>}
      {payload.fault && (
        <p class="fault" role="note">
          <strong>Reading ends at byte {payload.fault.offset}</strong>: {payload.fault.detail}.
        </p>
      )}
    </>
  );
}
