/** Outlines on a grid of 24; the label beside or in `aria-label` says what they mean. */
const PATHS = {
  plant: "M3 20V9l6 4V9l6 4V3h5v17zM7 17h2M12 17h2",
  signals: "M2 13h4l3-8 4 14 3-9 2 3h4",
  alarms: "M6 17V11a6 6 0 0 1 12 0v6l2 2H4zM10 21h4",
  work: "M14.5 6.5a4 4 0 0 1 5-3l-2.5 3 1.5 2 3-.5a4 4 0 0 1-5.5 4L7 21l-3.500-3.500L12.500 9a4 4 0 0 1 2-2.500z",
  stores: "M3 8l9-5 9 5v9l-9 5-9-5zM3 8l9 5 9-5M12 13v9",
  fleet: "M4 14h16v6H4zM8 17h.01M12 17h.01M12 14v-4M8.500 7a5 5 0 0 1 7 0M6 4.500a8.500 8.500 0 0 1 12 0",
  flow: "M3 9h5v6H3zM16 3.500h5v5h-5zM16 15.500h5v5h-5zM8 12h4M12 6v12M12 6h4M12 18h4",
  aside: "M3 13h5l1.500 3h5L16 13h5M5 5h14l2 8v6H3v-6z",
  me: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 3.500-6 8-6s8 2 8 6",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500L21 21",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  moon: "M20 14A8 8 0 1 1 10 4a6.500 6.500 0 0 0 10 10z",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  close: "M6 6l12 12M18 6L6 18",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
