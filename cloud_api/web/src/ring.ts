/** A bounded series of a mean and its envelope; the oldest point goes when a new one finds it full. */
export class Ring {
  private readonly columns: Float64Array[];
  private start = 0;
  private length = 0;

  constructor(readonly capacity: number) {
    this.columns = [0, 1, 2, 3].map(() => new Float64Array(capacity));
  }

  get size(): number {
    return this.length;
  }

  /** Time in milliseconds of the newest point; -Infinity when empty. */
  get lastTime(): number {
    return this.length ? this.at(0, this.length - 1) : -Infinity;
  }

  /** The newest mean; NaN when empty. */
  get lastValue(): number {
    return this.length ? this.at(1, this.length - 1) : NaN;
  }

  private at(column: number, index: number): number {
    return this.columns[column]![(this.start + index) % this.capacity]!;
  }

  /** Append a point; one at the time of the newest replaces it, an older one is left out. */
  push(time: number, value: number, minimum = value, maximum = value): void {
    if (time < this.lastTime) return;
    if (this.length && time === this.lastTime) this.length -= 1;
    else if (this.length === this.capacity) {
      this.start = (this.start + 1) % this.capacity;
      this.length -= 1;
    }
    const slot = (this.start + this.length) % this.capacity;
    [time, value, minimum, maximum].forEach((v, column) => (this.columns[column]![slot] = v));
    this.length += 1;
  }

  /** Call `visit` with each point later than `after`, oldest first. */
  each(
    visit: (time: number, value: number, minimum: number, maximum: number) => void,
    after = -Infinity,
  ): void {
    for (let i = 0; i < this.length; i += 1) {
      const time = this.at(0, i);
      if (time > after) visit(time, this.at(1, i), this.at(2, i), this.at(3, i));
    }
  }

  /** Return a ring of the same capacity that holds `older` points before these. */
  after(older: Ring): Ring {
    const joined = new Ring(this.capacity);
    const first = this.length ? this.at(0, 0) : Infinity;
    older.each((time, ...values) => time < first && joined.push(time, ...values));
    this.each((time, ...values) => joined.push(time, ...values));
    return joined;
  }
}
