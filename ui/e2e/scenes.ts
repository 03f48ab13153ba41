/** A working day to take pictures of: real projects in every state there is, the demo video on its way, people, pipelines,
 *  files; and the names, numbers and lengths that break a layout. */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { PYTHON, ROOT, until, type World } from "./world.ts";

const run = promisify(execFile);

const FAILS = `winslow: 1
name: night-shift
title: Night shift
parameters:
  VIDEO: {type: string, default: tunnel.mp4, title: Video}
stages:
  - id: detect
    title: Detect what moves
    command: [sh, -c, "echo '320 frames at 25 per second'; sleep 2; echo 'Traceback (most recent call last):' >&2; echo '  File \\"/app/detect.py\\", line 88, in frames' >&2; echo 'ValueError: no frame at 00:41:07, the file ends early' >&2; exit 3"]
    resources: {cpu: 0.1, memory: 64 MiB}
  - id: track
    title: Follow road users
    command: [sh, -c, "echo tracked"]
`;

/** Works for an hour, says how far it is, warns now and then, and writes what a log page has to show. */
const RUNS = `winslow: 1
name: long-watch
title: Long watch
parameters:
  MIN_AREA: {type: integer, default: 300, title: Smallest blob}
stages:
  - id: detect
    title: Detect what moves
    command: [sh, -c, "echo 'vehicles=3986' >> $WINSLOW_RESULTS; sleep 4; echo 361440 frames"]
    resources: {cpu: 0.1, memory: 64 MiB}
    results: {vehicles: integer}
  - id: track
    title: Follow road users
    command:
      - python3
      - -uc
      - |
        import os, sys, time
        held = bytearray(80 << 20)
        for frame in range(1000000):
            until = time.monotonic() + 0.05
            while time.monotonic() < until: pass
            print(f"frame {frame * 5:,}  tracks {3500 + frame // 9:,}  live {38 + frame % 7}  19.{frame % 6} fps")
            if frame % 40 == 17:
                print(f"\\x1b[33mWARN\\x1b[0m id switch suspected: {2800 + frame} and {2805 + frame}, kept {2800 + frame}", file=sys.stderr)
            if frame % 300 == 90:
                print('{"frame": %d, "gpu_mem_mib": 13412, "queue": 3, "decode_ms": 11.8, "infer_ms": 31.2, "associate_ms": 6.9, "write_ms": 0.4, "tracks": [2911, 2914, 2918, 2920, 2925]}' % frame)
            open(os.environ["WINSLOW_PROGRESS"], "w").write(f"{min(99, 38 + frame / 200):.1f}")
            time.sleep(0.25)
    resources: {cpu: 0.5, memory: 256 MiB}
  - id: clean_up
    title: Clean up tracks
    command: [sh, -c, "echo cleaned"]
  - id: analyse
    title: Count and measure
    command: [sh, -c, "echo counted"]
`;

const forty = (): string =>
  `winslow: 1
name: forty-steps
title: Forty steps
defaults: {resources: {cpu: 0.1, memory: 32 MiB}}
stages:
${Array.from({ length: 40 }, (_, at) => `  - id: step_${String(at + 1).padStart(2, "0")}\n    command: [sh, -c, "${at === 39 ? "sleep 3600" : "true"}"]`).join("\n")}
`;

const twelve = (): string =>
  `winslow: 1
name: twelve-cameras
title: Twelve cameras
defaults: {resources: {cpu: 0.1, memory: 32 MiB}}
stages:
  - id: cut
    command: [sh, -c, "echo cut into 12"]
${Array.from({ length: 12 }, (_, at) => `  - id: camera_${at + 1}\n    needs: [cut]\n    command: [sh, -c, "sleep 3; echo 'lens ${at + 1} is covered' >&2; exit ${at + 1}"]`).join("\n")}
  - id: join
    needs: [${Array.from({ length: 12 }, (_, at) => `camera_${at + 1}`).join(", ")}]
    command: [sh, -c, "echo joined"]
`;

const LARGE = `winslow: 1
name: mask-training
title: Train the mask model
stages:
  - id: train
    command: [sh, -c, "echo trained"]
    resources: {cpu: 64, memory: 512 GiB, gpu: {count: 1, memory: 40 GiB}}
`;

const LINE = `winslow: 1
name: second-pass
title: Second pass
stages:
  - id: refine
    command: [sh, -c, "echo refined; sleep 3600"]
    resources: {cpu: 2, memory: 256 MiB}
`;

const VALUES = `winslow: 1
name: heat-map
title: Heat map
parameters:
  CAMERA_HEIGHT: {type: number, title: Camera height, help: "In metres above the street, as the drone's log says"}
stages:
  - id: heat_map
    command: [sh, -c, "echo at $CAMERA_HEIGHT m"]
`;

export interface Scenes {
  done: string;
  asks: string;
  chooses: string;
  values: string;
  failed: string;
  runs: string;
  forty: string;
  twelve: string;
  never: string;
  odd: string;
  idle: string;
  first: string;
}

type Stage = { number: number; id: string; state: string };
const stagesOf = (project: Record<string, unknown>) => project.stages as Stage[];
const gatesOf = (project: Record<string, unknown>) => project.gates as { id: string; stage: number }[];

const PATIENCE = 300_000; // milliseconds: the video takes its time on a machine that has other work

/** Say go to every question, until the stage is done and the project with it. */
async function goOn(world: World, project: string, stage: string): Promise<void> {
  await until(async () => {
    const shown = await world.call("GET", `/api/v1/projects/${project}`);
    const open = gatesOf(shown)[0];
    if (open)
      await world.command(project, {
        kind: "answer_gate",
        gate: open.id,
        answer: "go",
        values: {},
        stage: 0,
      });
    return stagesOf(shown).find((s) => s.id === stage)?.state === "succeeded" && shown.state === "succeeded";
  }, PATIENCE);
}

export async function scenes(world: World): Promise<Scenes> {
  const own = await video(world); // first: the others leave a stage that waits for the whole machine, and who comes later waits behind it
  return { ...own, ...(await team(world)) };
}

/** The demo video on its way: all of it, redone with another value; and another project that asks what to do. */
async function video(world: World): Promise<Pick<Scenes, "done" | "asks">> {
  const env = {
    ...process.env,
    PATH: `${join(ROOT, ".venv/bin")}:${process.env.PATH}`,
    HOME: world.home,
    USER: world.user,
    WINSLOW_HOME: world.home,
  };
  const clip = join(world.home, "neckartor-1117-1630.mp4");
  execFileSync(PYTHON, ["pipelines/traffic/get_clip.py", clip], { cwd: ROOT });
  const submit = async (name: string, tags: string[], values: string[] = []): Promise<string> => {
    const args = [
      "-m",
      "winslow_nomad.cli",
      "submit",
      "pipelines/traffic",
      "--name",
      name,
      "--input",
      clip,
      "--json",
    ];
    const said = await run(
      PYTHON,
      [...args, ...tags.flatMap((t) => ["--tag", t]), ...values.flatMap((v) => ["--set", v])],
      { cwd: ROOT, env },
    );
    return (JSON.parse(said.stdout) as { project: { id: string } }).project.id;
  };
  const done = await submit("Neckartor, 17 Nov 16:30", ["b14-campaign", "rush-hour"]);
  await goOn(world, done, "analyse");
  const detect = stagesOf(await world.call("GET", `/api/v1/projects/${done}`)).find((s) => s.id === "detect");
  await world.command(done, {
    kind: "redo_stage",
    stage: detect?.number ?? 1,
    overrides: { values: { MIN_AREA: "900" }, environment: {} },
    comment: "shadows below the trees still count as cars",
  });
  await until(async () => {
    const shown = await world.call("GET", `/api/v1/projects/${done}`);
    return stagesOf(shown).some(
      (s) => s.id === "detect" && s.number !== detect?.number && s.state === "succeeded",
    );
  }, PATIENCE);
  await goOn(world, done, "analyse");
  const asks = await submit("Neckartor, 17 Nov 07:30", ["b14-campaign", "rush-hour"], ["MIN_AREA=200"]);
  await until(async () => gatesOf(await world.call("GET", `/api/v1/projects/${asks}`)).length > 0, PATIENCE);
  return { done, asks };
}

/** What the others of the team are at. */
async function team(world: World): Promise<Omit<Scenes, "done" | "asks">> {
  const first = await world.project("first steps", { start: true, tags: ["validation"] });
  await goOn(world, first, "count");
  const chooses = await world.project("Charlottenplatz, 18 Nov", {
    text: await world.example("parameter-sweep"),
    tags: ["b14-campaign", "sweep"],
  });
  await world.command(chooses, {
    kind: "enqueue_stage",
    id: "try",
    after: [],
    overrides: { values: {}, environment: {} },
    sweep: { VALUE: ["1", "2", "3", "4", "5"] },
  });
  const failed = await world.project("Wagenburg tunnel, 18 Nov", {
    start: true,
    text: FAILS,
    tags: ["b14-campaign"],
  });
  const twelve_ = await world.project("Twelve cameras, Leonberg merge", {
    start: true,
    text: twelve(),
    tags: ["a81-merge"],
  });
  const values = await world.project("Pragsattel, dusk", { start: true, text: VALUES, tags: ["a81-merge"] });
  const forty_ = await world.project("Forty steps, Engelberg", {
    start: true,
    text: forty(),
    tags: ["a81-merge"],
  });
  const never = await world.project("Böblingen-Ost, 9 Nov", {
    start: true,
    text: LARGE,
    tags: ["a81-merge"],
  });
  const idle = await world.project("Vaihingen, 20 Nov", { tags: ["validation"] });
  const odd = await world.project(
    "تقاطع الشارع 🚦 交差点 — a-very-long-name-that-somebody-pasted-from-a-file-name-without-any-space_2026-11-17T16-30-00.mp4",
    {
      start: true,
      text: VALUES,
      tags: Array.from({ length: 40 }, (_, at) => `camera-${String(at + 1).padStart(3, "0")}`),
    },
  );
  const paused = await world.project("Roundabout Fasanenhof", { text: RUNS, tags: ["validation"] });
  await world
    .command(paused, { kind: "pause_project", comment: "keep until the camera height is known" })
    .catch(() => undefined);

  // people, what they may, and what is kept for them
  for (const [name, shown, role] of [
    ["jonas", "Jonas Weber", "member"],
    ["mara", "Mara Lindqvist", "admin"],
    ["samir", "Samir Haddad", "viewer"],
  ])
    await world.call("POST", "/api/v1/users", {
      name,
      display_name: shown,
      email: `${name}@example.org`,
      role,
      password: "a long enough one",
    });
  await world
    .call("POST", "/api/v1/groups", { name: "traffic", members: ["jonas", "mara"] })
    .catch(() => undefined);
  await world.call("POST", "/api/v1/tokens", { name: "nightly import", scopes: ["read", "run"], days: 90 });
  const text = await world.example("first-steps");
  await world.call("POST", "/api/v1/pipelines", { text, comment: "as the example has it" });
  await world.call("PUT", "/api/v1/pipelines/first-steps", {
    text: text.replace("default: 700", "default: 650"),
    comment: "more of the middle ones",
  });
  await world.call("POST", "/api/v1/pipelines", { text: RUNS, comment: "" });

  const runs = await world.project("Österreichischer Platz, 19 Nov", {
    start: true,
    text: RUNS,
    tags: ["b14-campaign", "rush-hour"],
  });
  await world.waits(runs, (p) => stagesOf(p).some((s) => s.id === "track" && s.state === "running"));
  await world.project("Heslach tunnel portal, 18 Nov", { start: true, text: LINE, tags: ["b14-campaign"] });
  await world.waits(failed, (p) => (p.failures as unknown[]).length > 0);
  await world.waits(chooses, (p) => gatesOf(p).length > 0);
  await until(
    async () =>
      stagesOf(await world.call("GET", `/api/v1/projects/${twelve_}`)).filter((s) => s.state === "failed")
        .length === 12,
    60_000,
  ).catch(() => undefined);

  const odds = join(world.home, "odd");
  mkdirSync(odds, { recursive: true });
  writeFileSync(join(odds, "notes.txt"), "Camera at 12.4 m, wind from the west.\n");
  return { chooses, values, failed, runs, forty: forty_, twelve: twelve_, never, odd, idle, first };
}
