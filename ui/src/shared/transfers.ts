/** Files on their way to the server: three at a time, resumed by tus after a cut, a pause, or a reload with the same file. */
import type { DetailedError, Upload } from "tus-js-client";
import { create } from "zustand";
import { csrfToken, newKey } from "@/api/client.ts";
import { ApiProblem, asProblem } from "@/api/problem.ts";

export type TransferState = "waiting" | "running" | "paused" | "cut" | "conflict" | "failed" | "done";

export interface Transfer {
  id: string;
  space: string;
  folder: string;
  name: string;
  size: number;
  sent: number;
  /** bytes a second, over the last seconds */
  rate: number;
  state: TransferState;
  text: string;
  /** where it is, at its end */
  path: string;
}

interface Own {
  file: File;
  upload: Upload | null;
  samples: [number, number][];
  conflict: "refuse" | "keep_both" | "replace";
  settle: (path: string | null) => void;
  /** counts the starts: what an older one still has to say is not heard */
  turn: number;
}

interface Transfers {
  items: Transfer[];
  open: boolean;
  setOpen: (open: boolean) => void;
}

const AT_ONCE = 3;
const PIECE = 256 * 1024 * 1024; // a proxy in between may limit bodies
const RETRIES = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000];
const WINDOW = 5_000;
const own = new Map<string, Own>();

export const useTransfers = create<Transfers>()((set) => ({
  items: [],
  open: true,
  setOpen: (open) => set({ open }),
}));

function change(id: string, next: Partial<Transfer>): void {
  useTransfers.setState((s) => ({ items: s.items.map((t) => (t.id === id ? { ...t, ...next } : t)) }));
}

/** Resolves with the path in the space, or null when it was given up. */
export function send(space: string, folder: string, file: File): Promise<string | null> {
  return new Promise((settle) => {
    const id = newKey();
    own.set(id, { file, upload: null, samples: [], conflict: "refuse", settle, turn: 0 });
    const item: Transfer = {
      id,
      space,
      folder,
      name: file.name,
      size: file.size,
      sent: 0,
      rate: 0,
      state: "waiting",
      text: "",
      path: "",
    };
    useTransfers.setState((s) => ({ items: [...s.items, item], open: true }));
    next();
  });
}

/** Everything that was dropped, folders with what is in them. */
export function sendAll(
  space: string,
  folder: string,
  files: { path: string; file: File }[],
): Promise<(string | null)[]> {
  return Promise.all(
    files.map(({ path, file }) => {
      const inside = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
      return send(space, [folder, inside].filter(Boolean).join("/"), file);
    }),
  );
}

function next(): void {
  const { items } = useTransfers.getState();
  const running = items.filter((t) => t.state === "running" || t.state === "cut").length;
  for (const item of items.filter((t) => t.state === "waiting").slice(0, Math.max(0, AT_ONCE - running)))
    void start(item);
}

async function start(item: Transfer): Promise<void> {
  const mine = own.get(item.id);
  if (!mine) return;
  mine.turn += 1;
  const { turn } = mine;
  change(item.id, { state: "running", text: "" });
  let tus: typeof import("tus-js-client");
  try {
    tus = await import("tus-js-client"); // only for those who send something
  } catch (error) {
    change(item.id, { state: "failed", rate: 0, text: asProblem(error).message });
    next();
    return;
  }
  const over = () => {
    const shown = useTransfers.getState().items.find((t) => t.id === item.id);
    return shown?.state !== "running" || mine.turn !== turn; // paused or given up meanwhile
  };
  if (over()) return;
  const upload = new tus.Upload(mine.file, {
    endpoint: "/api/v1/uploads",
    chunkSize: PIECE,
    retryDelays: RETRIES,
    removeFingerprintOnSuccess: true,
    storeFingerprintForResuming: true,
    metadata: { space: item.space, path: item.folder, filename: item.name, conflict: mine.conflict },
    fingerprint: async (file) => {
      const f = file as File;
      return ["winslow", item.space, item.folder, f.name, f.size, f.lastModified].join("|");
    },
    onBeforeRequest: (request) => {
      request.setHeader("X-CSRF-Token", csrfToken());
      return undefined;
    },
    onShouldRetry: (error) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      const again =
        status === 0 ||
        status === 423 ||
        status === 429 ||
        status >= 500 ||
        (status === 409 && !isConflict(error));
      if (again) change(item.id, { state: "cut", text: "It was cut, and goes on by itself.", rate: 0 });
      return again && status !== 507;
    },
    onProgress: (sent) => {
      const now = performance.now();
      mine.samples = [...mine.samples.filter(([at]) => now - at < WINDOW), [now, sent]];
      const [first] = mine.samples;
      const rate = first && now > first[0] ? ((sent - first[1]) * 1000) / (now - first[0]) : 0;
      change(item.id, { sent, rate, state: "running", text: "" });
    },
    onSuccess: ({ lastResponse }) => {
      const header = lastResponse.getHeader("Winslow-Path");
      const path = header ? decodeURIComponent(header) : [item.folder, item.name].filter(Boolean).join("/");
      change(item.id, { state: "done", sent: item.size, rate: 0, text: "", path });
      finish(item.id, path);
    },
    onError: (error) => {
      const response = "originalResponse" in error ? error.originalResponse : null;
      const problem = read(response?.getBody() ?? "", response?.getStatus() ?? 0);
      if (problem.code === "file.exists" || (problem.status === 409 && isConflict(error))) {
        change(item.id, { state: "conflict", rate: 0, text: `There is a ${item.name} already.` });
      } else {
        change(item.id, { state: "failed", rate: 0, text: `${problem.message} ${problem.hint}`.trim() });
      }
      next();
    },
  });
  mine.upload = upload;
  // a browser that keeps nothing knows of none
  const previous = await upload.findPreviousUploads().catch(() => []);
  if (over()) return;
  if (previous[0]) upload.resumeFromPreviousUpload(previous[0]);
  upload.start();
}

function read(body: string, status: number): ApiProblem {
  try {
    return new ApiProblem({ ...JSON.parse(body), status });
  } catch {
    return status ? new ApiProblem({ status, title: `The server answered ${status}.` }) : ApiProblem.away();
  }
}

/** A name that is taken is no conflict of offsets: it comes before anything was sent. */
function isConflict(error: object): boolean {
  return "originalRequest" in error && (error as DetailedError).originalRequest?.getMethod() === "POST";
}

function finish(id: string, path: string | null): void {
  own.get(id)?.settle(path);
  own.delete(id);
  next();
}

export function pause(id: string): void {
  void own.get(id)?.upload?.abort();
  change(id, { state: "paused", rate: 0, text: "" });
  next();
}

export function resume(id: string): void {
  change(id, { state: "waiting" });
  next();
}

/** The answer to "there is one already". */
export function settle(id: string, conflict: "keep_both" | "replace"): void {
  const mine = own.get(id);
  if (mine) mine.conflict = conflict;
  resume(id);
}

/** Gives up what is on its way, and takes what is done from the list. */
export function drop(id: string): void {
  const mine = own.get(id);
  void mine?.upload?.abort(true).catch(() => undefined);
  useTransfers.setState((s) => ({ items: s.items.filter((t) => t.id !== id) }));
  if (mine) finish(id, null);
}

export function alive(items: Transfer[]): Transfer[] {
  return items.filter((t) => t.state !== "done" && t.state !== "failed");
}

/** Of what is under way: part done in percent, rate, and seconds left. */
export function total(items: Transfer[]): { percent: number; rate: number; left: number | null } {
  const moving = alive(items);
  const size = moving.reduce((sum, t) => sum + t.size, 0);
  const sent = moving.reduce((sum, t) => sum + t.sent, 0);
  const rate = moving.reduce((sum, t) => sum + t.rate, 0);
  return { percent: size ? (100 * sent) / size : 100, rate, left: rate > 0 ? (size - sent) / rate : null };
}

/** Files that were chosen: of a folder with their place in it, the folder's own name first. */
export function chosenFiles(files: Iterable<File>): { path: string; file: File }[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Files of a drop, folders walked through. */
export async function dropped(data: DataTransfer): Promise<{ path: string; file: File }[]> {
  const entries = [...data.items]
    .map((item) => item.webkitGetAsEntry())
    .filter((e): e is FileSystemEntry => e !== null);
  if (!entries.length) return [...data.files].map((file) => ({ path: file.name, file }));
  const found: { path: string; file: File }[] = [];
  const walk = async (entry: FileSystemEntry, before: string): Promise<void> => {
    const path = before ? `${before}/${entry.name}` : entry.name;
    if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      found.push({ path, file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
      if (!some.length) break;
      for (const each of some) await walk(each, path);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}

if (typeof window !== "undefined") {
  window.addEventListener("beforeunload", (event) => {
    if (alive(useTransfers.getState().items).length) event.preventDefault();
  });
}
