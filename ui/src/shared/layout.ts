/** Where the stages of a pipeline stand in its graph. Pure. */
import dagre from "@dagrejs/dagre";

export const WIDTH = 156;
export const HEIGHT = 70;

export interface Placed {
  id: string;
  x: number;
  y: number;
}

export interface Drawn {
  nodes: Map<string, Placed>;
  edges: { from: string; to: string; path: string }[];
  width: number;
  height: number;
}

/** `stages` in the order of the file; `needs` name others of them. Left to right, or downwards. */
export function layout(
  stages: readonly { id: string; needs: readonly string[] }[],
  way: "across" | "down" = "across",
): Drawn {
  const across = way === "across";
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: across ? "LR" : "TB", nodesep: 20, ranksep: 26, marginx: 2, marginy: 4 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(stages.map((s) => s.id));
  for (const stage of stages) graph.setNode(stage.id, { width: WIDTH, height: HEIGHT });
  for (const stage of stages) {
    for (const need of stage.needs) if (known.has(need)) graph.setEdge(need, stage.id);
  }
  dagre.layout(graph);
  const nodes = new Map<string, Placed>();
  const upsideDown = across && turned(stages.map((s) => graph.node(s.id)));
  const height = graph.graph().height ?? HEIGHT;
  for (const stage of stages) {
    const at = graph.node(stage.id);
    const y = upsideDown ? height - at.y : at.y;
    nodes.set(stage.id, { id: stage.id, x: at.x - WIDTH / 2, y: y - HEIGHT / 2 });
  }
  const edges = graph.edges().map(({ v, w }) => {
    const [a, b] = [nodes.get(v) as Placed, nodes.get(w) as Placed];
    const path = across
      ? curve(a.x + WIDTH, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2)
      : drop(a.x + WIDTH / 2, a.y + HEIGHT, b.x + WIDTH / 2, b.y);
    return { from: v, to: w, path };
  });
  const size = graph.graph();
  return { nodes, edges, width: size.width ?? WIDTH, height: size.height ?? HEIGHT };
}

/** Whether most of those that stand in one column stand against the order of the file: crossings are the same either way. */
function turned(placed: readonly { x: number; y: number }[]): boolean {
  let against = 0;
  placed.forEach((a, at) => {
    for (const b of placed.slice(at + 1)) if (a.x === b.x) against += a.y > b.y ? 1 : -1;
  });
  return against > 0;
}

function drop(x1: number, y1: number, x2: number, y2: number): string {
  const middle = (y1 + y2) / 2;
  return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
}

function curve(x1: number, y1: number, x2: number, y2: number): string {
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}
