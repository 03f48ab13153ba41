/** All projects that the caller may see, by id. A change repaints the one row that changed; the order is worked out anew at most
 *  once a second, and not at all while the pointer is over the list. */
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";

export type Row = components["schemas"]["Row"];

const PAGE = 500;
const ORDER_EVERY = 1000;
const TOLD_EVERY = 250; // milliseconds, while page after page comes: each time all that came is put in order anew

export class Rows {
  private readonly rows = new Map<string, Row>();
  private readonly each = new Map<string, Set<() => void>>();
  private readonly watchers = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private held = false;
  private loading: AbortController | undefined;
  private version = 0;
  /** Changes that the order on screen does not show yet. */
  pending = 0;
  complete = false;
  ready = false;
  error: unknown = null;

  get = (id: string): Row | undefined => this.rows.get(id);

  list(): Row[] {
    return [...this.rows.values()];
  }

  get size(): number {
    return this.rows.size;
  }

  /** Told whenever rows came or went, or their order may be another. */
  watch = (tell: () => void): (() => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };

  snapshot = (): number => this.version;

  watchOne(id: string, tell: () => void): () => void {
    const set = this.each.get(id) ?? new Set();
    this.each.set(id, set);
    set.add(tell);
    return () => {
      set.delete(tell);
      if (!set.size) this.each.delete(id);
    };
  }

  /** Everything anew, page by page; what is shown stays until it is replaced. */
  async load(): Promise<void> {
    this.loading?.abort();
    const controller = new AbortController();
    this.loading = controller;
    const seen = new Set<string>();
    let after = "";
    let told = 0;
    try {
      do {
        const query = { limit: after ? PAGE : 100, after };
        const page = await taken(
          api.GET("/api/v1/projects", { params: { query }, signal: controller.signal }),
        );
        for (const row of page.items) {
          seen.add(row.id);
          this.set(row);
        }
        after = page.next ?? "";
        this.error = null;
        if (this.ready && performance.now() - told < TOLD_EVERY) continue;
        this.ready = true;
        told = performance.now();
        this.tell();
      } while (after);
      for (const id of [...this.rows.keys()]) if (!seen.has(id)) this.rows.delete(id);
      this.complete = true;
      this.tell();
    } catch (error) {
      if (controller.signal.aborted) return;
      this.error = error;
      this.tell();
    }
  }

  /** What changed since, newest version wins. */
  apply(changed: Row[], gone: string[]): void {
    for (const row of changed) {
      const before = this.rows.get(row.id);
      if (before && before.version > row.version) continue;
      this.set(row);
    }
    for (const id of gone) this.rows.delete(id);
    this.pending += changed.length + gone.length;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (!this.held) this.tell();
      else this.announce();
    }, ORDER_EVERY);
  }

  /** While held, rows keep their places. */
  hold(on: boolean): void {
    if (this.held === on) return;
    this.held = on;
    if (!on && this.pending) this.tell();
  }

  private set(row: Row): void {
    if (row.trashed) this.rows.delete(row.id);
    else this.rows.set(row.id, row);
    for (const tell of this.each.get(row.id) ?? []) tell();
  }

  private tell(): void {
    this.pending = 0;
    this.announce();
  }

  private announce(): void {
    this.version += 1;
    for (const tell of this.watchers) tell();
  }
}

export const rows = new Rows();
