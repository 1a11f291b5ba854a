import { number, percent, shapeText } from '../text.js';

const width = 240;
const height = 56;

/// Counts of equal bins from low to high, with a mark at zero.
function Histogram({ histogram, name }) {
  const { low, high, counts = [] } = histogram;
  const most = Math.max(1, ...counts);
  const step = width / Math.max(1, counts.length);
  const bars = counts
    .map((count, i) => {
      const tall = count > 0 ? Math.max(1, (count / most) * height) : 0;
      return `M${(i * step).toFixed(2)} ${height}v${-tall.toFixed(2)}h${(step * 0.86).toFixed(2)}V${height}z`;
    })
    .join('');
  const zero = low < 0 && high > 0 ? (-low / (high - low)) * width : null;
  return (
    <div class="histogram">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`Histogram of ${name}`}>
        {zero !== null && <line x1={zero} x2={zero} y1="0" y2={height} vector-effect="non-scaling-stroke" />}
        <path d={bars} />
      </svg>
      <div class="histogram-ends soft" aria-hidden="true">
        <span>{number(low)}</span>
        {zero !== null && zero > 50 && zero < width - 50 && (
          <span class="zero" style={{ left: `${(100 * zero) / width}%` }}>0</span>
        )}
        <span>{number(high)}</span>
      </div>
    </div>
  );
}

export function Statistics({ statistics }) {
  return (
    <section>
      <h3>Values</h3>
      {statistics.map((one) => (
        <div class="statistic" key={one.key}>
          <h4>
            {one.key} <span class="soft">{shapeText(one.shape ?? [])}</span>
          </h4>
          {one.histogram?.counts?.length > 0 && <Histogram histogram={one.histogram} name={one.key} />}
          <dl class="numbers">
            <div><dt>mean</dt><dd>{number(one.mean)}</dd></div>
            <div><dt>deviation</dt><dd>{number(one.deviation)}</dd></div>
            <div><dt>minimum</dt><dd>{number(one.minimum)}</dd></div>
            <div><dt>maximum</dt><dd>{number(one.maximum)}</dd></div>
            <div><dt>zeros</dt><dd>{percent(one.zeros)}</dd></div>
          </dl>
        </div>
      ))}
    </section>
  );
}
