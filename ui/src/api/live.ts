/** One WebSocket per tab: topics with cursors. After a gap the page asks for the state anew; what it shows meanwhile is marked as old. */

export type Connection = { state: "live" } | { state: "away"; since: number; next: number };

export interface LiveMessage {
  type: "hello" | "snapshot" | "delta" | "gap" | "ping" | "denied" | "total";
  topic?: string;
  cursor?: string;
  data?: unknown;
  /** of what was denied: store or share do not answer now */
  passing?: boolean;
}

export type Listener = (message: LiveMessage) => void;

const FIRST = 500;
const LONGEST = 15_000;
const SILENCE = 45_000; // the server speaks every 20 s
const HIDDEN = 60_000;
const AGAIN = 3_000; // until what could not be followed for a while is asked for again
const SESSION_ENDED = 4401;

interface Topic {
  cursor: string;
  listeners: Set<Listener>;
}

export interface SocketLike {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
}

export class Live {
  private readonly open: () => SocketLike;
  private readonly ended: () => void;
  private readonly topics = new Map<string, Topic>();
  private readonly watchers = new Set<() => void>();
  private socket: SocketLike | undefined;
  private ready = false;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private wanted = false;
  /** Whether somebody listens even while nobody looks. */
  keep = false;
  connection: Connection = { state: "away", since: Date.now(), next: Date.now() };

  constructor(open: () => SocketLike, ended: () => void) {
    this.open = open;
    this.ended = ended;
  }

  start(): void {
    this.wanted = true;
    this.connect();
  }

  stop(): void {
    this.wanted = false;
    this.ready = false; // a line that is dead takes long to say that it is closed
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.socket?.close();
  }

  /** Listen to a topic until the returned function is called. `cursor`: where the state that one has ends. */
  subscribe(name: string, cursor: string, listener: Listener): () => void {
    let topic = this.topics.get(name);
    if (!topic) {
      topic = { cursor, listeners: new Set() };
      this.topics.set(name, topic);
      if (this.ready) this.send({ op: "sub", topic: name, cursor });
    }
    topic.listeners.add(listener);
    return () => {
      topic.listeners.delete(listener);
      if (topic.listeners.size || this.topics.get(name) !== topic) return;
      this.topics.delete(name);
      if (this.ready) this.send({ op: "unsub", topic: name });
    };
  }

  watch = (tell: () => void): (() => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };

  /** Now, not after the pause. */
  retry(): void {
    if (this.ready || !this.wanted) return;
    clearTimeout(this.timer);
    this.connect();
  }

  private connect(): void {
    this.ready = false;
    const old = this.socket;
    this.socket = undefined;
    old?.close();
    const socket = this.open();
    this.socket = socket;
    socket.onopen = () => {
      if (socket !== this.socket) return;
      this.ready = true;
      this.become({ state: "live" });
      for (const [name, topic] of this.topics) this.send({ op: "sub", topic: name, cursor: topic.cursor });
      this.heard();
    };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heard();
      const message = parsed(event.data);
      if (message) this.receive(message);
      else socket.close(); // what was in it is asked for again with the cursor
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.ready = false;
      clearTimeout(this.silence);
      if (event.code === SESSION_ENDED) this.ended();
      if (this.wanted) this.again();
    };
  }

  private again(): void {
    const pause = Math.min(LONGEST, FIRST * 2 ** this.failures) * (0.75 + Math.random() / 2);
    this.failures += 1;
    const since = this.connection.state === "away" ? this.connection.since : Date.now();
    this.become({ state: "away", since, next: Date.now() + pause });
    this.timer = setTimeout(() => this.connect(), pause);
  }

  private heard(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.socket?.close(), SILENCE);
  }

  private receive(message: LiveMessage): void {
    if (message.type === "hello") this.failures = 0; // not before: whom the server does not want it lets in to say so
    const name = message.topic ?? "";
    const topic = this.topics.get(name);
    if (!topic) return;
    if (message.cursor) topic.cursor = message.cursor;
    if (message.type === "denied" && message.passing)
      setTimeout(() => {
        if (this.ready && this.topics.get(name) === topic)
          this.send({ op: "sub", topic: name, cursor: topic.cursor });
      }, AGAIN);
    for (const listener of topic.listeners) listener(message);
  }

  private send(message: object): void {
    this.socket?.send(JSON.stringify(message));
  }

  private become(connection: Connection): void {
    this.connection = connection;
    for (const tell of this.watchers) tell();
  }
}

function parsed(data: unknown): LiveMessage | null {
  try {
    return JSON.parse(String(data)) as LiveMessage;
  } catch {
    return null;
  }
}

/** Let go of the connection while nobody looks; what was missed arrives with the cursor. */
export function pauseWhenHidden(live: Live): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let paused = false;
  const changed = () => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => {
        if (live.keep) return;
        paused = true;
        live.stop();
      }, HIDDEN);
    } else if (paused) {
      paused = false;
      live.start();
    }
  };
  document.addEventListener("visibilitychange", changed);
  return () => document.removeEventListener("visibilitychange", changed);
}

export function browserSocket(): SocketLike {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return new WebSocket(`${scheme}://${location.host}/api/v1/live`) as unknown as SocketLike;
}
