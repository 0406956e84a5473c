import { describe, expect, it } from "vitest";
import { fft, inverseFft, powerOfTwo } from "../src/fft";
import { amplitudeSpectrum, envelope } from "../src/spectrum";

const RATE = 3200;

function noise(length: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647 - 0.5;
  });
}

const sine = (frequency: number, amplitude: number, length: number): number[] =>
  Array.from({ length }, (_, i) => amplitude * Math.sin((2 * Math.PI * frequency * i) / RATE));

describe("fft", () => {
  it.each([2, 8, 64])("is the sum of its definition at length %i", (size) => {
    const re = noise(size);
    const im = noise(size).reverse();
    const [a, b] = [re.slice(), im.slice()];
    fft(re, im);
    for (let k = 0; k < size; k += 1) {
      let [x, y] = [0, 0];
      for (let n = 0; n < size; n += 1) {
        const angle = (-2 * Math.PI * k * n) / size;
        x += a[n]! * Math.cos(angle) - b[n]! * Math.sin(angle);
        y += a[n]! * Math.sin(angle) + b[n]! * Math.cos(angle);
      }
      expect(re[k]).toBeCloseTo(x, 9);
      expect(im[k]).toBeCloseTo(y, 9);
    }
  });

  it("is undone by its inverse", () => {
    const re = noise(1024);
    const im = new Float64Array(1024);
    const before = re.slice();
    fft(re, im);
    inverseFft(re, im);
    re.forEach((v, i) => expect(v).toBeCloseTo(before[i]!, 10));
  });

  it("refuses a length that is no power of two", () => {
    expect(() => fft(new Float64Array(12), new Float64Array(12))).toThrow(/12 is no power of two/);
    expect(powerOfTwo(3200)).toBe(4096);
    expect(powerOfTwo(4096)).toBe(4096);
  });
});

describe("amplitudeSpectrum", () => {
  it.each([3200, 1024, 2500])("shows a sine's amplitude at its frequency, with %i samples", (length) => {
    const { frequency, amplitude } = amplitudeSpectrum(sine(400, 2.5, length), RATE);
    const peak = amplitude.indexOf(Math.max(...amplitude));
    expect(frequency[peak]).toBeCloseTo(400, -1);
    expect(amplitude[peak]).toBeCloseTo(2.5, 1);
  });

  it("knows nothing of the mean, and takes what is no number for it", () => {
    const samples = sine(200, 1, 3200).map((v) => v + 100);
    samples[5] = NaN;
    const { amplitude } = amplitudeSpectrum(samples, RATE);
    expect(amplitude[0]).toBeLessThan(0.01);
    expect(Math.max(...amplitude)).toBeCloseTo(1, 1);
  });
});

describe("envelope", () => {
  it("finds the rhythm of impacts that ring far above it", () => {
    const samples = Array.from({ length: 3200 }, (_, i) => {
      const since = (i / RATE) % (1 / 80);
      return (
        Math.exp(-since * 400) * Math.sin(2 * Math.PI * 1000 * since) +
        3 * Math.sin((2 * Math.PI * 25 * i) / RATE)
      );
    });
    const { frequency, amplitude } = amplitudeSpectrum(envelope(samples, RATE, 480), RATE);
    const peak = amplitude.indexOf(Math.max(...amplitude));
    expect(Math.abs(frequency[peak]! - 80)).toBeLessThan(1);
  });
});
