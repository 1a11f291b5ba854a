import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { useDark } from '../media.js';

const height = 240;

function colorsOf(element) {
  const style = getComputedStyle(element);
  const color = (name) => style.getPropertyValue(name).trim();
  return {
    ink: color('--soft'),
    rule: color('--rule'),
    series: [color('--accent'), color('--second')],
    font: `12px ${style.fontFamily}`,
  };
}

// As few digits as a tick needs.
const plainTick = (value) => String(Number(value.toPrecision(6)));

function optionsOf({ series, format, tick = plainTick, last }, colors) {
  const axis = {
    stroke: colors.ink,
    font: colors.font,
    grid: { stroke: colors.rule, width: 1 },
    ticks: { stroke: colors.rule, width: 1, size: 4 },
  };
  return {
    width: 300,
    height,
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
    legend: { live: true },
    padding: [12, 8, 0, 0],
    scales: { x: { time: false } },
    axes: [
      { ...axis, grid: { show: false }, size: 32, gap: 4, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
      { ...axis, size: 56, gap: 6, values: (_, ticks) => ticks.map(tick) },
    ],
    series: [
      { label: 'epoch', value: (_, value) => (value === null ? '\u2013' : String(value)) },
      ...series.map(({ name }, i) => ({
        label: name,
        stroke: colors.series[i],
        width: 2,
        dash: i === 1 ? [7, 4] : undefined,
        points: { show: false },
        value: (_, value) => (value === null || value === undefined ? '\u2013' : format(value)),
      })),
    ],
    hooks: {
      // Without a cursor the legend tells the last epoch.
      setCursor: [(plot) => plot.cursor.idx ?? plot.setLegend({ idx: last }, false)],
      ready: [(plot) => plot.setLegend({ idx: last }, false)],
    },
  };
}

/// Curves over the epochs. Arrow keys move the cursor along them.
export function Curves({ title, epochs, series, format, tick }) {
  const host = useRef(null);
  const plot = useRef(null);
  const dark = useDark();
  useEffect(() => {
    const columns = [epochs, ...series.map(({ values }) => values)];
    const options = optionsOf({ series, format, tick, last: epochs.length - 1 }, colorsOf(host.current));
    plot.current = new UPlot(options, columns, host.current);
    const observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width > 0) plot.current.setSize({ width, height });
    });
    observer.observe(host.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, [dark]);

  const onKeyDown = (event) => {
    const last = epochs.length - 1;
    const now = plot.current.cursor.idx;
    const next = {
      ArrowRight: Math.min(last, (now ?? -1) + 1),
      ArrowLeft: Math.max(0, (now ?? last + 1) - 1),
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    plot.current.setCursor({ left: plot.current.valToPos(epochs[next], 'x'), top: 0 });
  };
  return (
    <figure class="curves">
      <figcaption>{title}</figcaption>
      <div
        ref={host}
        tabIndex={0}
        role="group"
        aria-label={`${title} over the epochs. Left and right arrow keys move along the curves.`}
        onKeyDown={onKeyDown}
      />
    </figure>
  );
}
