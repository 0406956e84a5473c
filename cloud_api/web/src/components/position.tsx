import { percent } from "../format";
import { HEALTH_LIMITS } from "../machine_state";

/** Health, 0 (failed) to 1 (as new), as a place within its limits; never a dial. */
export function Health({ value }: { value: number }) {
  const known = Number.isFinite(value);
  const place = `${Math.min(1, Math.max(0, value)) * 100}%`;
  return (
    <div
      class="health"
      role="meter"
      aria-label="Health"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.round(value * 100) : undefined}
      aria-valuetext={known ? percent(value) : "not known yet"}
      title="Health, from failed (left) to as new (right)"
    >
      <span class="health-label">Health</span>
      <span class="health-track">
        {known && <span class="health-fill" style={{ width: place }} />}
        {HEALTH_LIMITS.map((limit) => (
          <span
            key={limit.label}
            class="health-limit"
            style={{ left: `${limit.value * 100}%` }}
            title={limit.label}
          />
        ))}
      </span>
      <span class="health-value num">{known ? percent(value) : "–"}</span>
    </div>
  );
}
