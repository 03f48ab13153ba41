/** A line without axes that ends at the limit, so that the distance to it is visible. What it says stands beside it in words. */
const WIDTH = 100;
const HEIGHT = 28;

export function Spark({
  values,
  limit,
  series = 1,
}: {
  values: readonly number[];
  limit?: number;
  series?: 1 | 2 | 3 | 4 | 5;
}) {
  const top = limit || Math.max(...values, 0) || 1;
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, at) => {
    const high = HEIGHT - 1 - (Math.min(value, top) / top) * (HEIGHT - 2);
    return `${(at * step).toFixed(1)},${high.toFixed(1)}`;
  });
  return (
    <svg
      className="spark-line"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      style={{ "--c": `var(--wn-c${series})` } as React.CSSProperties}
    >
      {points.length > 1 ? (
        <>
          <path className="ar" d={`M0,${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z`} />
          <path className="ln" d={`M${points.join("L")}`} />
        </>
      ) : null}
      <path className="axis" d={`M0,${HEIGHT - 0.5}H${WIDTH}`} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
