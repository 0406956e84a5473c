import { useMemo, useState } from "preact/hooks";
import { getWaveform, listSeries, queryPoints } from "../contracts";
import { quantity, unitText } from "../format";
import { useQuery } from "../query";
import { amplitudeSpectrum, envelope } from "../spectrum";
import type { Flag } from "./overlay";
import { Plot } from "./plot";
import { Failed, Skeleton } from "./states";

/** Impacts of a bearing ring above this share of the sampling rate; below are shaft and gear. */
const ENVELOPE_FROM = 0.15;
const HEIGHT = 190;

type View = "spectrum" | "envelope";

/** How many multiples of a frequency are marked. */
const HARMONICS = 4;

/** Return the shaft's frequency in Hz about `time`: the mean of the machine's speed channel; NaN without one. */
async function shaftFrequency(tag: string, site: string, time: number, stop: AbortSignal): Promise<number> {
  const { series } = await listSeries({ equipment: tag, site }, stop);
  const speed = series.find((s) => s.aggregated && s.unit === "1/min");
  if (!speed) return NaN;
  const { value } = await queryPoints(
    {
      equipment: tag,
      site,
      series: speed.series,
      startTime: new Date(time - 5000).toISOString(),
      endTime: new Date(time + 5000).toISOString(),
      maxPoints: 20,
    },
    stop,
  );
  const known = value.filter((v) => Number.isFinite(v) && v > 0);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length / 60 : NaN;
}

/** Return ticks at the first multiples of `frequency`, named by `label`. */
function harmonics(frequency: number, label: (n: number) => string): Flag[] {
  if (!Number.isFinite(frequency)) return [];
  return Array.from({ length: HARMONICS }, (_, i) => ({ at: (i + 1) * frequency, label: label(i + 1) }));
}

/** Return what the multiples of the highest line are called: shaft orders where the speed is known. */
function nameOfPeak(frequency: number, shaft: number): (n: number) => string {
  if (Number.isFinite(shaft)) return (n) => `${((n * frequency) / shaft).toFixed(2)}×`;
  return (n) => (n === 1 ? quantity(frequency, "Hz") : `${n}×`);
}

interface Props {
  id: string;
  tag: string;
  site: string;
  /** A bearing is suspected: its impacts show in the envelope. */
  bearing: boolean;
}

/** The raw samples about the alarm, and what they hold by frequency. */
export function Waveform({ id, tag, site, bearing }: Props) {
  const { data, error, reload } = useQuery(async (stop) => {
    const wave = await getWaveform({ name: `waveforms/${id}` }, stop);
    const shaft = await shaftFrequency(tag, site, Date.parse(wave.startTime ?? ""), stop).catch(() => NaN);
    return { wave, shaft };
  }, `waveform ${id}`);
  const [view, setView] = useState<View>(bearing ? "envelope" : "spectrum");
  const [log, setLog] = useState(false);
  const [zoom, setZoom] = useState<{ start: number; end: number }>();
  const drawn = useMemo(() => {
    if (!data) return undefined;
    const { samples, sampleRateHz } = data.wave;
    const seen =
      view === "envelope" ? envelope(samples, sampleRateHz, sampleRateHz * ENVELOPE_FROM) : samples;
    const { frequency, amplitude } = amplitudeSpectrum(seen, sampleRateHz);
    const peak = amplitude.reduce((best, a, i) => (a > amplitude[best]! ? i : best), 0);
    return {
      time: [samples.map((_, i) => (i * 1000) / sampleRateHz), samples],
      spectrum: [frequency, log ? amplitude.map((a) => Math.max(a, 1e-9)) : amplitude],
      peak: { frequency: frequency[peak] ?? NaN, amplitude: amplitude[peak] ?? NaN },
      end: view === "envelope" ? Math.min(sampleRateHz / 2, 400) : sampleRateHz / 2,
    };
  }, [data, view, log]);
  const window = useMemo(() => zoom ?? { start: 0, end: drawn?.end ?? 1 }, [zoom, drawn?.end]);
  const shaft = data?.shaft ?? NaN;
  const highest = drawn?.peak.frequency ?? NaN;
  const overlay = useMemo(
    () => ({
      flags:
        view === "envelope"
          ? harmonics(highest, nameOfPeak(highest, shaft))
          : harmonics(shaft, (n) => `${n}×`),
    }),
    [view, highest, shaft],
  );
  if (error) return <Failed error={error} retry={reload} />;
  if (!data || !drawn) return <Skeleton lines={9} />;
  const { wave } = data;
  const { peak } = drawn;
  const order = Number.isFinite(shaft) ? ` (order ${(peak.frequency / shaft).toFixed(2)})` : "";
  return (
    <>
      <figure class="trend">
        <figcaption class="trend-head trend-head-wide">
          <span class="trend-title">Waveform, {wave.channel}</span>
          <span class="quiet num">
            {wave.samples.length} samples at {quantity(wave.sampleRateHz, "Hz")}
          </span>
        </figcaption>
        <Plot
          label={`Waveform of ${wave.channel}`}
          height={HEIGHT}
          data={drawn.time}
          unit={wave.unit}
          xUnit="ms"
        />
      </figure>
      <figure class="trend">
        <figcaption class="trend-head trend-head-wide">
          <span class="trend-title">{view === "envelope" ? "Envelope spectrum" : "Spectrum"}</span>
          <span class="quiet num">
            highest at {quantity(peak.frequency, "Hz")}
            {order}
          </span>
          <span class="trend-tools">
            <button
              type="button"
              class="chip"
              aria-pressed={view === "envelope"}
              onClick={() => (setView(view === "envelope" ? "spectrum" : "envelope"), setZoom(undefined))}
            >
              Envelope
            </button>
            <button type="button" class="chip" aria-pressed={log} onClick={() => setLog(!log)}>
              Log
            </button>
          </span>
        </figcaption>
        <Plot
          label={`${view} of ${wave.channel} in ${unitText(wave.unit)}, highest at ${quantity(peak.frequency, "Hz")}${order}`}
          height={HEIGHT}
          data={drawn.spectrum}
          unit={wave.unit}
          xUnit="Hz"
          log={log}
          window={window}
          overlay={overlay}
          onZoom={(start, end) => setZoom({ start: Math.max(0, start), end })}
          onReset={() => setZoom(undefined)}
        />
      </figure>
    </>
  );
}
