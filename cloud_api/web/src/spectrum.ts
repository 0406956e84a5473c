import { fft, inverseFft, powerOfTwo } from "./fft";

/** Amplitude by frequency. */
export interface Spectrum {
  /** Hz. */
  frequency: number[];
  /** Peak amplitude, in the unit of the samples. */
  amplitude: number[];
}

/** Return `samples` without their mean; what is no number counts as the mean. */
function centred(samples: ArrayLike<number>): Float64Array {
  let sum = 0;
  let known = 0;
  for (let i = 0; i < samples.length; i += 1) {
    if (!Number.isFinite(samples[i]!)) continue;
    sum += samples[i]!;
    known += 1;
  }
  const mean = known ? sum / known : 0;
  return Float64Array.from(samples, (v) => (Number.isFinite(v) ? v - mean : 0));
}

/**
 * Return the one-sided peak amplitude of `samples` under a Hann window, padded to a power of two.
 * `rate` in Hz. A sine of amplitude A shows as A, whatever the length (window sum as scale).
 */
export function amplitudeSpectrum(samples: ArrayLike<number>, rate: number): Spectrum {
  const signal = centred(samples);
  const size = powerOfTwo(signal.length);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  let sum = 0;
  for (let i = 0; i < signal.length; i += 1) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / signal.length);
    sum += window;
    re[i] = signal[i]! * window;
  }
  fft(re, im);
  const spectrum: Spectrum = { frequency: [], amplitude: [] };
  for (let k = 0; k <= size / 2; k += 1) {
    spectrum.frequency.push((k * rate) / size);
    spectrum.amplitude.push(sum ? (2 * Math.hypot(re[k]!, im[k]!)) / sum : 0);
  }
  return spectrum;
}

/**
 * Return the envelope of what `samples` hold above `from` Hz, by the analytic signal: what a bearing's
 * impacts do to the resonance they ring (Randall and Antoni 2011, MSSP 25, section 3).
 */
export function envelope(samples: ArrayLike<number>, rate: number, from: number): Float64Array {
  const signal = centred(samples);
  const size = powerOfTwo(signal.length);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  re.set(signal);
  fft(re, im);
  for (let k = 0; k < size; k += 1) {
    const keep = k > 0 && k < size / 2 && (k * rate) / size >= from;
    re[k] = keep ? 2 * re[k]! : 0;
    im[k] = keep ? 2 * im[k]! : 0;
  }
  inverseFft(re, im);
  return Float64Array.from(signal, (_, i) => Math.hypot(re[i]!, im[i]!));
}
