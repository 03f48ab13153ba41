/** Which lines of a log are at hand. Asks for the chunks that are looked at, keeps the newest sixty, and lets live lines in
 *  only where they join what is there: of the rest only the number grows. */

export interface Line {
  n: number;
  stream: "out" | "err";
  at?: string | null;
  text: string;
  more_bytes: number;
  open: boolean;
}

export interface Page {
  attempt: number;
  start: number;
  total: number;
  complete: boolean;
  ended: boolean;
  lines: Line[];
}

export type Fetch = (start: number, count: number, signal: AbortSignal) => Promise<Page>;

export const CHUNK = 500;
export const KEPT = 60;

interface Chunk {
  /** index = place in the log or in the one stream that is shown */
  lines: (Line | undefined)[];
  used: number;
}

export class LogStore {
  private readonly fetch: Fetch;
  private readonly chunks = new Map<number, Chunk>();
  private readonly asked = new Map<number, AbortController>();
  private readonly watchers = new Set<() => void>();
  private turn = 0;
  private emitting = false;
  private version = 0;
  total = 0;
  ended = false;
  complete = true;
  ready = false;
  error: unknown = null;

  constructor(fetch: Fetch) {
    this.fetch = fetch;
  }

  watch = (tell: () => void): (() => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };

  snapshot = (): number => this.version;

  /** A line by its place; undefined: not here, or not yet. */
  at(place: number): Line | undefined {
    const chunk = this.chunks.get(Math.floor(place / CHUNK));
    return chunk?.lines[place % CHUNK];
  }

  /** See to it that these lines come. What nobody looks at any more is not waited for. */
  look(first: number, last: number): void {
    const from = Math.floor(Math.max(0, first) / CHUNK);
    const to = Math.floor(Math.max(0, last) / CHUNK);
    for (const [index, controller] of this.asked) {
      if (index < from - 1 || index > to + 1) controller.abort();
    }
    for (let index = from; index <= to; index += 1) {
      const chunk = this.chunks.get(index);
      this.turn += 1;
      if (chunk) chunk.used = this.turn;
      if (!this.asked.has(index) && this.lacks(index)) this.ask(index);
    }
  }

  /** The server says how long the log is now, and what has been written last. */
  grow(page: Page): void {
    this.total = page.total;
    this.ended = page.ended;
    this.complete = page.complete;
    this.put(page.start, page.lines, false);
    this.emit();
  }

  /** The state may have moved on while nobody listened: everything open is asked for anew. */
  refresh(): void {
    for (const [index, chunk] of this.chunks) {
      const end = Math.min(CHUNK, this.total - index * CHUNK);
      if (chunk.lines.length < end || chunk.lines.some((line) => line?.open)) this.chunks.delete(index);
    }
    this.ask(Math.floor(Math.max(0, this.total - 1) / CHUNK));
  }

  close(): void {
    for (const controller of this.asked.values()) controller.abort();
    this.watchers.clear();
  }

  private lacks(index: number): boolean {
    const wanted = Math.min(CHUNK, this.total - index * CHUNK);
    if (!this.ready) return true;
    if (wanted <= 0) return false;
    const chunk = this.chunks.get(index);
    if (!chunk) return true;
    for (let at = 0; at < wanted; at += 1) if (!chunk.lines[at]) return true;
    return false;
  }

  private ask(index: number): void {
    const controller = new AbortController();
    this.asked.set(index, controller);
    this.fetch(index * CHUNK, CHUNK, controller.signal).then(
      (page) => {
        this.asked.delete(index);
        this.ready = true;
        this.error = null;
        this.total = Math.max(page.total, page.start + page.lines.length);
        this.ended = page.ended;
        this.complete = page.complete;
        this.put(page.start, page.lines, true);
        this.emit();
      },
      (error: unknown) => {
        this.asked.delete(index);
        if (controller.signal.aborted) return;
        this.error = error;
        this.emit();
      },
    );
  }

  /** `start` is a place, not a line's number: with one stream shown they differ. */
  private put(start: number, lines: Line[], create: boolean): void {
    for (let i = 0; i < lines.length; i += 1) {
      const place = start + i;
      const index = Math.floor(place / CHUNK);
      let chunk = this.chunks.get(index);
      if (!chunk) {
        // a live line opens a chunk only at its beginning; else it would hide that those before it are missing
        if (!create && place % CHUNK !== 0) continue;
        this.turn += 1;
        chunk = { lines: [], used: this.turn };
        this.chunks.set(index, chunk);
      }
      if (create || place % CHUNK <= chunk.lines.length) chunk.lines[place % CHUNK] = lines[i];
    }
    this.forget();
  }

  private forget(): void {
    while (this.chunks.size > KEPT) {
      let oldest = -1;
      let used = Number.POSITIVE_INFINITY;
      for (const [index, chunk] of this.chunks) {
        if (chunk.used < used) {
          oldest = index;
          used = chunk.used;
        }
      }
      this.chunks.delete(oldest);
    }
  }

  private emit(): void {
    this.version += 1;
    if (this.emitting) return;
    this.emitting = true;
    requestAnimationFrame(() => {
      this.emitting = false;
      for (const tell of this.watchers) tell();
    });
  }
}
