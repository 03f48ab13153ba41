/** A real Winslow for the tests: engine, API and the built pages on a home of its own and a free port, ended and forgotten
 *  afterwards. Nothing in here reaches past what a person or a program could do: the command line, REST, the browser. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Browser, type BrowserContext, test as base, type Page, request } from "@playwright/test";

export { expect } from "@playwright/test";

export const ROOT = resolve(import.meta.dirname, "../..");
export const PYTHON = process.env.WINSLOW_PYTHON ?? join(ROOT, ".venv/bin/python");
const PATIENCE = 60_000; // milliseconds for a start; machines that build at the same time are slow

type Json = Record<string, unknown>;
type Cookies = Awaited<ReturnType<BrowserContext["cookies"]>>;

export class World {
  readonly home = mkdtempSync(join(tmpdir(), "winslow-e2e-"));
  port = 0;
  user = "";
  password = "";
  private process: ChildProcess | undefined;
  private said = "";
  private readonly what: string;
  private cookies: Cookies = [];
  private csrf = "";

  constructor(what: "up" | "serve" = "up") {
    this.what = what;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The link that a first start leaves for its administrator; it is good once. */
  get link(): string {
    return new URL(/Log in as \S+: (\S+)/.exec(this.login())?.[1] ?? "", this.url).href;
  }

  private login(): string {
    return readFileSync(join(this.home, "login"), "utf-8");
  }

  async start(): Promise<void> {
    this.port ||= await freePort();
    this.said = "";
    const started = spawn(PYTHON, ["-m", "winslow_nomad.cli", this.what, "--port", String(this.port)], {
      cwd: ROOT,
      detached: true, // a group of its own, so that all of it can be killed at once
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: `${join(ROOT, ".venv/bin")}:${process.env.PATH}`,
        HOME: this.home,
        USER: "ada",
        WINSLOW_HOME: this.home,
      },
    });
    this.process = started;
    for (const stream of [started.stdout, started.stderr])
      stream?.on("data", (data) => {
        this.said = (this.said + data).slice(-8000);
      });
    await until(async () => {
      if (started.exitCode !== null) throw new Error(`it ended with ${started.exitCode}: ${this.said}`);
      return this.said.includes("How to log in") && (await fetch(`${this.url}/login`)).ok;
    }, PATIENCE);
    if (this.user) return;
    const given = /made: (\S+), with the password (\S+)\. /.exec(this.login());
    if (!given?.[1] || !given[2]) throw new Error(`no password in ${this.login()}`);
    [, this.user, this.password] = given;
    const own = await this.session();
    this.cookies = own.cookies;
    this.csrf = own.csrf;
  }

  /** As a machine that loses power: nothing of it says good-bye. What stages run goes on. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const process_ = this.process;
    if (process_?.pid === undefined || process_.exitCode !== null || process_.signalCode !== null) return;
    const ended = new Promise((done) => process_.once("exit", done));
    process.kill(-process_.pid, signal);
    await ended;
  }

  async end(): Promise<void> {
    await this.kill("SIGTERM");
    for (const pid of this.left()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it ended by itself meanwhile
      }
    }
    rmSync(this.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }

  /** Stages go on without a server, as they should, but not past the home they write to. */
  private left(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return ["cmdline", "environ"].some((file) =>
            readFileSync(`/proc/${pid}/${file}`).includes(this.home),
          );
        } catch {
          return false; // ended, or somebody else's
        }
      })
      .map(Number)
      .filter((pid) => pid !== process.pid);
  }

  /** A session of its own, as by the log-in page. */
  async session(user = this.user, password = this.password): Promise<{ cookies: Cookies; csrf: string }> {
    const way = await request.newContext({ baseURL: this.url });
    try {
      const answer = await way.post("/api/v1/session", { data: { user, password } });
      if (!answer.ok()) throw new Error(`${answer.status()}: ${await answer.text()}`);
      return { cookies: (await way.storageState()).cookies as Cookies, csrf: (await answer.json()).csrf };
    } finally {
      await way.dispose();
    }
  }

  /** The browser is the administrator from here on. */
  async enter(context: BrowserContext): Promise<void> {
    await context.addCookies(this.cookies);
  }

  /** Another person, and a window in which they are logged in. */
  async person(
    browser: Browser,
    name: string,
    role: "admin" | "member" | "viewer" = "member",
  ): Promise<Page> {
    const password = "a long enough one";
    await this.call("POST", "/api/v1/users", { name, display_name: name, email: "", role, password });
    const context = await browser.newContext({ baseURL: this.url });
    await context.addCookies((await this.session(name, password)).cookies);
    return steady(await context.newPage());
  }

  async call<T = Json>(method: string, path: string, data?: unknown, expected = true): Promise<T> {
    const answer = await fetch(this.url + path, {
      method,
      body: data === undefined ? undefined : JSON.stringify(data),
      headers: {
        ...(data === undefined ? {} : { "Content-Type": "application/json" }),
        Cookie: this.cookies.map((c) => `${c.name}=${c.value}`).join("; "),
        "X-CSRF-Token": this.csrf,
        "Idempotency-Key": crypto.randomUUID(),
      },
    });
    if (!answer.ok && expected) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (answer.status === 204 ? {} : await answer.json()) as T;
  }

  async example(name: string): Promise<string> {
    const all = await this.call<{ items: { name: string; text: string }[] }>(
      "GET",
      "/api/v1/pipelines/examples",
    );
    const found = all.items.find((each) => each.name === name);
    if (!found) throw new Error(`there is no example called ${name}`);
    return found.text;
  }

  /** A project of an example, of a pipeline's text or of one in the library; its id. */
  async project(
    name: string,
    {
      text = "",
      library = "",
      start = false,
      tags = [] as string[],
      values = {} as Record<string, string>,
    } = {},
  ): Promise<string> {
    const made = await this.call<{ id: string }>("POST", "/api/v1/projects", {
      name,
      pipeline: library ? { library } : { text: text || (await this.example("first-steps")) },
      values,
      tags,
      start,
    });
    return made.id;
  }

  async command(project: string, command: Json): Promise<void> {
    await this.call("POST", `/api/v1/projects/${project}/commands`, command);
  }

  /** Wait for the project to be as said; returns it. */
  async waits(project: string, good: (project: Json) => boolean, patience = PATIENCE): Promise<Json> {
    let last: Json = {};
    await until(async () => {
      last = await this.call("GET", `/api/v1/projects/${project}`);
      return good(last);
    }, patience).catch(() => {
      throw new Error(`the project stayed ${JSON.stringify({ state: last.state, stages: last.stages })}`);
    });
    return last;
  }
}

export async function until(good: () => Promise<boolean>, milliseconds: number): Promise<void> {
  const end = Date.now() + milliseconds;
  let why: unknown;
  while (Date.now() < end) {
    try {
      if (await good()) return;
    } catch (error) {
      why = error;
      if (String(error).includes("it ended with")) throw error;
    }
    await new Promise((go) => setTimeout(go, 100));
  }
  throw new Error(`not within ${milliseconds} ms${why ? `: ${why}` : ""}`);
}

function freePort(): Promise<number> {
  return new Promise((settle, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => settle(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Interfaces that come and go on a machine make Chromium drop what it loads: that is no fault of the page. */
export function steady(page: Page): Page {
  for (const way of ["goto", "reload"] as const) {
    const own = page[way].bind(page) as (...given: unknown[]) => Promise<unknown>;
    const again = async (...given: unknown[]): Promise<unknown> => {
      for (let tries = 1; ; tries++) {
        try {
          return await own(...given);
        } catch (error) {
          if (tries === 5 || !String(error).includes("ERR_NETWORK_CHANGED")) throw error;
        }
      }
    };
    Object.assign(page, { [way]: again });
  }
  return page;
}

/** A page that fails is told of at once: what it threw, and what it wrote as an error. */
export function faults(page: Page): string[] {
  const found: string[] = [];
  page.on("pageerror", (error) => found.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    const text = message.text();
    if (!/ERR_NETWORK_CHANGED|Failed to load resource|WebSocket connection/.test(text))
      found.push(`${page.url()}: ${text}`);
  });
  return found;
}

/** `page` is logged in; `world` is one for all tests of a worker. */
export const test = base.extend<{ page: Page }, { world: World }>({
  world: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what is wanted from here
    async ({}, use) => {
      const world = new World();
      try {
        await world.start();
        await use(world);
      } finally {
        await world.end();
      }
    },
    { scope: "worker", timeout: PATIENCE * 2 },
  ],
  baseURL: async ({ world }, use) => use(world.url),
  page: async ({ page, context, world }, use) => {
    await world.enter(context);
    await use(steady(page));
  },
});
