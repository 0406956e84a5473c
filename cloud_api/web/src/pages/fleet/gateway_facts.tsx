import { type ComponentChildren, Fragment } from "preact";
import { Age, Time } from "../../components/time";
import type { Gateway } from "../../contracts";
import type { Concern, Subject } from "../../fleet/concerns";
import { bytes, duration, percent, signedSeconds } from "../../format";
import { serverNow } from "../../ticking";
import { Watched } from "./marks";

const dash = <span class="quiet">not told</span>;

/** A name, a value, and which concerns it may have. */
export type Fact = readonly [label: string, value: ComponentChildren, of?: Subject];

/** Facts of one subject, each with its mark when it is worth a look. */
export function Facts({
  title,
  facts,
  concerns,
}: {
  title: string;
  facts: readonly Fact[];
  concerns: readonly Concern[];
}) {
  return (
    <section class="section">
      <h2>{title}</h2>
      <dl class="pairs">
        {facts.map(([label, value, of]) => (
          <Fragment key={label}>
            <dt>{label}</dt>
            <dd class="num">
              {of ? (
                <Watched concerns={concerns} of={of}>
                  {value}
                </Watched>
              ) : (
                value
              )}
            </dd>
          </Fragment>
        ))}
      </dl>
    </section>
  );
}

const part = (value: number, whole: number): string =>
  whole > 0 ? `${bytes(value)} of ${bytes(whole)} (${percent(value / whole)})` : bytes(value);

/** Whether and how it is heard. */
export function heartbeatFacts({ lastSeenTime, report }: Gateway): Fact[] {
  return [
    [
      "Last heard",
      lastSeenTime ? (
        <>
          <Age at={lastSeenTime} />{" "}
          <span class="quiet">
            (<Time at={lastSeenTime} seconds />)
          </span>
        </>
      ) : (
        <span class="quiet">never</span>
      ),
      "heartbeat",
    ],
    ["Reports", report ? `every ${duration(report.reportIntervalS * 1000)}` : dash],
    ["Running for", report ? duration(report.uptimeS * 1000) : dash],
    [
      "Clock",
      report?.clockOffsetMs === undefined ? (
        dash
      ) : (
        <>
          {signedSeconds(report.clockOffsetMs / 1000)}
          <span class="quiet">
            {" "}
            from the server{report.clockSource && `, by ${report.clockSource.replace("_", " ")}`}
          </span>
        </>
      ),
      "clock",
    ],
    ["Log level", report?.logLevel || dash],
    [
      "Last error",
      report?.lastError ? (
        <>
          {report.lastError}{" "}
          <span class="quiet">
            <Age at={report.lastErrorTime} />
          </span>
        </>
      ) : (
        <span class="quiet">none</span>
      ),
    ],
  ];
}

/** The machine it runs on, and its spool. */
export function machineFacts({ report }: Gateway): Fact[] {
  if (!report) return [];
  return [
    [
      "Disk free",
      Number(report.diskBytes) > 0 ? part(Number(report.diskFreeBytes), Number(report.diskBytes)) : dash,
      "disk",
    ],
    [
      "Temperature",
      report.temperatureDegC === undefined ? dash : `${report.temperatureDegC.toFixed(1)}\u202f°C`,
      "temperature",
    ],
    ["Memory of the agent", report.memoryBytes === undefined ? dash : bytes(Number(report.memoryBytes))],
    ["Share of a core", report.cpuShare === undefined ? dash : percent(report.cpuShare)],
    [
      "Waiting to be sent",
      `${report.spoolBatches} batches, ${part(Number(report.spoolBytes), Number(report.spoolMaxBytes))}`,
      "spool",
    ],
    ["Dropped since it began", `${report.spoolDropped} batches`, "dropped"],
    ["Agent", report.agentVersion || dash],
    [
      "Runtime",
      [report.runtimeVersion, report.pythonVersion && `Python ${report.pythonVersion}`]
        .filter(Boolean)
        .join(", ") || dash,
    ],
    ["System", report.operatingSystem || dash],
  ];
}

/** What makes it one of the fleet. */
export function membershipFacts(g: Gateway): Fact[] {
  const check = g.report?.updateCheck;
  const left = Date.parse(g.certificateExpireTime ?? "") - serverNow.value;
  return [
    ["Site", g.site],
    ["Group", g.group || "default"],
    [
      "Enrolled",
      g.enrolTime ? (
        <Time at={g.enrolTime} />
      ) : (
        <span class="quiet">no, it speaks without a certificate of ours</span>
      ),
    ],
    [
      "Certificate until",
      g.certificateExpireTime ? (
        <>
          <Time at={g.certificateExpireTime} />
          <span class="quiet">{left > 0 ? ` in ${duration(left)}` : " expired"}</span>
        </>
      ) : (
        <span class="quiet">none</span>
      ),
      "certificate",
    ],
    [
      "Serial number",
      g.certificateSerial ? (
        <code class="breaks">{g.certificateSerial}</code>
      ) : (
        <span class="quiet">none</span>
      ),
    ],
    [
      "Looked for updates",
      check ? (
        <>
          {check.result}{" "}
          <span class="quiet">
            <Age at={check.checkTime} />
          </span>
          {check.reason && <span class="block">{check.reason}</span>}
        </>
      ) : (
        <span class="quiet">not yet</span>
      ),
      "updates",
    ],
  ];
}
