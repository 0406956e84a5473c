import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytesOf, hexRows } from "../../dead_letters/letters";
import type { Span } from "./decoded";

const FEW = 24;
const MANY = 2000;

interface HexProps {
  payload: string;
  pointed: Span | undefined;
  /** Where reading ended. */
  fault: number | undefined;
}

/** The bytes as they came; what is pointed at beside them is marked, and where reading ended. */
export function Hex({ payload, pointed, fault }: HexProps) {
  const [all, setAll] = useState(false);
  const bytes = useMemo(() => bytesOf(payload), [payload]);
  const rows = hexRows(bytes, all ? MANY : FEW);
  const box = useRef<HTMLDivElement>(null);
  const row = pointed && Math.floor(pointed.offset / 16);
  useEffect(() => {
    if (row === undefined) return;
    if (row >= FEW && !all) setAll(true);
    const line = box.current?.children[row] as HTMLElement | undefined;
    if (line && box.current) box.current.scrollTop = line.offsetTop - box.current.offsetTop;
  }, [row, all]);
  const mark = (at: number): string => {
    if (pointed && at >= pointed.offset && at < pointed.offset + pointed.size) return "pointed";
    return fault !== undefined && at === fault ? "faulty" : "";
  };
  if (!bytes.length) return <p class="quiet">There are no bytes.</p>;
  return (
    <>
      <div
        ref={box}
        class="hex"
        tabIndex={0}
        role="region"
        aria-label={`${bytes.length} bytes in hexadecimal`}
      >
        {rows.map((row) => (
          <div key={row.offset} class="hex-row">
            <span class="quiet">{row.offset.toString(16).padStart(5, "0")}</span>
            <span class="hex-bytes">
              {row.hex.map((pair, i) => (
                <span key={i} class={mark(row.offset + i)}>
                  {pair}
                </span>
              ))}
            </span>
            <span class="hex-text" aria-hidden="true">
              {row.text}
            </span>
          </div>
        ))}
      </div>
      {bytes.length > rows.length * 16 && (
        <button type="button" class="button button-plain" onClick={() => setAll(true)}>
          Show all {bytes.length} bytes
        </button>
      )}
    </>
  );
}
