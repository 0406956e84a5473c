import { signal } from "@preact/signals";
import type { Flow } from "./contracts";

export interface LiveAggregate {
  channel: string;
  unit: string;
  timeMs: number[];
  mean: (number | null)[];
  minimum: (number | null)[];
  maximum: (number | null)[];
}

export interface LivePoints {
  type: "points";
  site: string;
  equipment: string;
  equipmentClass: string;
  path: string;
  sentTimeMs: number;
  aggregates: LiveAggregate[];
  series: { name: string; unit: string; timeMs: number[]; value: (number | null)[] }[];
}

export interface LiveEvent {
  type: "event";
  event: string;
  time: string;
  data: Record<string, unknown>;
}

interface LiveHello {
  type: "hello";
  serverTime: string;
  version: string;
}

/** With every field of the contract that is set or has a default, so that nothing is to be filled in. */
interface LiveFlow {
  type: "flow";
  flow: Flow;
}

type LiveMessage = LivePoints | LiveEvent | LiveFlow | LiveHello | { type: "lagging" };

export interface LiveListener {
  points(message: LivePoints): void;
  event(message: LiveEvent): void;
  /** Something may have been missed: read the lists again. */
  missed(): void;
  /** It broke: is anyone still signed in? */
  lost(): void;
}

export interface LiveState {
  connected: boolean;
  /** When it was lost, wall clock; 0 before the first connection. */
  lostAt: number;
  /** When it is tried again. */
  retryAt: number;
}

export const liveState = signal<LiveState>({ connected: false, lostAt: 0, retryAt: 0 });

/** What the server's clock is ahead of ours, in milliseconds. */
export const clockOffset = signal(0);

const LONGEST_WAIT = 15_000;

let socket: WebSocket | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let listener: LiveListener | undefined;
let tries = 0;
let connectedBefore = false;
const flowWatchers = new Set<(flow: Flow) => void>();

function received(text: string): void {
  const message = JSON.parse(text) as LiveMessage;
  if (message.type === "points") listener?.points(message);
  else if (message.type === "event") listener?.event(message);
  else if (message.type === "flow") flowWatchers.forEach((show) => show(message.flow));
  else if (message.type === "lagging") listener?.missed();
  else if (message.type === "hello") {
    const server = Date.parse(String(message.serverTime));
    if (Number.isFinite(server)) clockOffset.value = server - Date.now();
  }
}

function opened(): void {
  tries = 0;
  liveState.value = { connected: true, lostAt: 0, retryAt: 0 };
  if (connectedBefore) listener?.missed();
  connectedBefore = true;
  subscribe();
}

function subscribe(): void {
  const wanted = flowWatchers.size ? { flow: true } : {};
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ subscribe: wanted }));
}

/** Show the running flow every second; returns how to stop. */
export function watchFlow(show: (flow: Flow) => void): () => void {
  flowWatchers.add(show);
  if (flowWatchers.size === 1) subscribe();
  return () => {
    flowWatchers.delete(show);
    if (!flowWatchers.size) subscribe();
  };
}

function lost(): void {
  if (!listener) return;
  const wait = Math.min(LONGEST_WAIT, 500 * 2 ** tries) * (0.75 + Math.random() / 2);
  tries += 1;
  const now = Date.now();
  liveState.value = { connected: false, lostAt: liveState.peek().lostAt || now, retryAt: now + wait };
  timer = setTimeout(open, wait);
  listener.lost();
}

function open(): void {
  clearTimeout(timer);
  const address = new URL("/v1/live", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const mine = new WebSocket(address);
  socket = mine;
  mine.addEventListener("open", () => mine === socket && opened());
  mine.addEventListener("message", (event) => mine === socket && received(String(event.data)));
  mine.addEventListener("close", () => mine === socket && lost());
}

/** Connect, and connect again whenever it breaks, until `disconnect`. */
export function connect(to: LiveListener): void {
  disconnect();
  listener = to;
  open();
}

export function disconnect(): void {
  clearTimeout(timer);
  listener = undefined;
  const before = socket;
  socket = undefined;
  before?.close();
  tries = 0;
  connectedBefore = false;
}

/** Try now instead of at `retryAt`. */
export function retryNow(): void {
  if (listener && !liveState.peek().connected) open();
}
