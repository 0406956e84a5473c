import type { Gateway, Release, Rollout } from "../contracts";

/** Return the version of a release's subject that counts on a gateway; undefined when there is none. */
export function runningOn(gateway: Gateway, release: Pick<Release, "kind" | "subject">): string | undefined {
  const { models = [], configurations = [] } = gateway.report ?? {};
  return release.kind === "RELEASE_KIND_CONFIGURATION"
    ? configurations.find((c) => c.name === release.subject && c.state === "INSTALLATION_STATE_RUNNING")
        ?.version
    : models.find((m) => m.equipmentClass === release.subject && m.state === "INSTALLATION_STATE_RUNNING")
        ?.version;
}

/** Whether a gateway tries a release. */
export function isTrying(gateway: Gateway, release: Pick<Release, "kind" | "subject" | "version">): boolean {
  const { models = [], configurations = [] } = gateway.report ?? {};
  const told =
    release.kind === "RELEASE_KIND_CONFIGURATION"
      ? configurations.find((c) => c.name === release.subject && c.version === release.version)
      : models.find((m) => m.equipmentClass === release.subject && m.version === release.version);
  return told?.state === "INSTALLATION_STATE_TRIAL";
}

/** Return the published version that most gateways have, other than the release's own; empty for none of them. */
export function versionBefore(
  release: Release,
  releases: readonly Release[],
  gateways: readonly Gateway[],
): string {
  const counts = new Map<string, number>();
  for (const gateway of gateways) {
    const version = runningOn(gateway, release);
    if (version && version !== release.version) counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  const published = (version: string): boolean =>
    releases.some((r) => r.kind === release.kind && r.subject === release.subject && r.version === version);
  const [most] = [...counts].filter(([version]) => published(version)).sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? "";
}

/** What a person fills in for a rollout; every field is a text. */
export type PlanTexts = Readonly<Record<string, string>>;

/** Return the numbers of a text such as `1, 10, 100`; raises an error that names what is none. */
export function parseStages(text: string): number[] {
  const parts = text.split(/[,;\s%]+/).filter(Boolean);
  return parts.map((part) => {
    const value = Number(part);
    if (!Number.isFinite(value)) throw new Error(`Stages: “${part}” is no number; write such as 1, 10, 100.`);
    return value;
  });
}

function positive(text: string | undefined, label: string): number | undefined {
  if (!text?.trim()) return undefined;
  const value = Number(text.trim().replace(",", "."));
  if (!Number.isFinite(value) || value < 0) throw new Error(`${label}: “${text}” is no number of 0 or more.`);
  return value;
}

/** Return the rollout that the texts describe; what is left empty is the server's to choose. */
export function planOf(release: Release, texts: PlanTexts): Partial<Rollout> {
  const soak = positive(texts["soakTime"], "Soak time");
  return {
    site: texts["site"]?.trim() ?? "",
    kind: release.kind,
    subject: release.subject,
    version: release.version,
    previousVersion: texts["previousVersion"] ?? "",
    groups: (texts["groups"] ?? "")
      .split(/[,;]+/)
      .map((g) => g.trim())
      .filter(Boolean),
    stages: parseStages(texts["stages"] ?? ""),
    healthRule: {
      soakTime: soak === undefined ? undefined : `${soak * 60}s`,
      latencyRatio: positive(texts["latencyRatio"], "Inference time"),
      scoreRatio: positive(texts["scoreRatio"], "Median score"),
      crashes: positive(texts["crashes"], "Crashes"),
      revert: texts["revert"] !== "no",
    },
  };
}
