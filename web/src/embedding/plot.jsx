import { select } from 'd3-selection';
import { zoom, zoomIdentity } from 'd3-zoom';
import Flatbush from 'flatbush';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { createScatter } from './scatter.js';

const nearby = 14;  // CSS pixels within which a point counts as hit
const step = 80;

function indexOf(points) {
  const index = new Flatbush(points.length >> 1);
  for (let i = 0; i < points.length; i += 2) index.add(points[i], points[i + 1]);
  index.finish();
  return index;
}

const arrows = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};

// Everything about the plot that is not drawn by Preact.
function createPlot({ frame, canvas, mark, embedding, sheets, onPick, onLoaded }) {
  const { points } = embedding;
  let transform = zoomIdentity;
  let waiting = 0;
  let picked = -1;
  let index = null;
  let shows = () => true;

  const scatter = createScatter({
    canvas,
    points,
    labels: embedding.labels,
    sheets,
    onChange(share) {
      onLoaded(share);
      redraw();
    },
  });

  const toScreen = (i) => transform.apply(scatter.place(i));

  function placeMark() {
    mark.hidden = picked < 0;
    if (picked < 0) return;
    const [x, y] = toScreen(picked);
    mark.style.transform = `translate(${x}px, ${y}px)`;
    mark.style.setProperty('--size', `${scatter.drawn.size ? scatter.drawn.size + 8 : 16}px`);
  }

  function redraw() {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      scatter.draw(transform);
      placeMark();
    });
  }

  const behavior = zoom()
    .scaleExtent([0.5, 400])
    .clickDistance(4)
    .on('zoom', (event) => {
      transform = event.transform;
      redraw();
    });
  const selection = select(frame).call(behavior).on('dblclick.zoom', null);

  function pick(i) {
    if (i === picked) return;
    picked = i;
    scatter.setPicked(i);
    redraw();
    onPick(i);
  }

  function nearestTo(x, y, most) {
    index ??= indexOf(points);
    const [px, py] = scatter.plane(...transform.invert([x, y]));
    const reach = most / (scatter.scale() * transform.k);
    return index.neighbors(px, py, 1, reach, shows)[0] ?? -1;
  }

  function hit(x, y) {
    const image = scatter.imageAt(x, y, transform);
    return image >= 0 ? image : nearestTo(x, y, nearby);
  }

  // The image, or the point, that lies best in an arrow's direction from the picked one.
  function neighbor([dx, dy]) {
    if (picked < 0) return nearestTo(frame.clientWidth / 2, frame.clientHeight / 2, Infinity);
    const [x, y] = toScreen(picked);
    const { indices, count } = scatter.drawn;
    let candidates = indices.subarray(0, count);
    if (count < 2) {
      index ??= indexOf(points);
      candidates = index.neighbors(points[2 * picked], points[2 * picked + 1], 400, Infinity, shows);
    }
    let best = -1;
    let bestCost = Infinity;
    for (const i of candidates) {
      const [ix, iy] = toScreen(i);
      const along = (ix - x) * dx + (iy - y) * dy;
      const across = Math.abs((ix - x) * dy) + Math.abs((iy - y) * dx);
      if (along < 3 || across > along) continue;
      if (along + 2 * across < bestCost) [best, bestCost] = [i, along + 2 * across];
    }
    return best;
  }

  function reveal(i) {
    const [x, y] = toScreen(i);
    const inside = (value, size) => Math.max(50, Math.min(size - 50, value));
    const dx = inside(x, frame.clientWidth) - x;
    const dy = inside(y, frame.clientHeight) - y;
    if (dx || dy) selection.call(behavior.translateBy, dx / transform.k, dy / transform.k);
  }

  return {
    redraw,
    pick,
    scatter,
    hit,
    setShows(next) {
      shows = next;
      if (picked >= 0 && !shows(picked)) pick(-1);
    },
    resize() {
      if (!frame.clientWidth || !frame.clientHeight) return;
      scatter.resize(frame.clientWidth, frame.clientHeight);
      behavior.extent([[0, 0], [frame.clientWidth, frame.clientHeight]]);
      behavior.translateExtent([
        [-0.5 * frame.clientWidth, -0.5 * frame.clientHeight],
        [1.5 * frame.clientWidth, 1.5 * frame.clientHeight],
      ]);
      // At once: a canvas that changed its size is empty.
      scatter.draw(transform);
      placeMark();
    },
    zoomBy(factor) {
      if (picked < 0) selection.call(behavior.scaleBy, factor);
      else selection.call(behavior.scaleBy, factor, toScreen(picked));
    },
    panBy: (dx, dy) => selection.call(behavior.translateBy, dx / transform.k, dy / transform.k),
    fit: () => selection.call(behavior.transform, zoomIdentity),
    move(direction) {
      const next = neighbor(direction);
      if (next < 0) return;
      pick(next);
      reveal(next);
    },
    destroy() {
      cancelAnimationFrame(waiting);
      selection.on('.zoom', null);
      scatter.destroy();
    },
  };
}

/// The plot; its controls come to `controls.current`.
/// @param classes  for each class { color, opacity }; @param look  { frame, mixing, images }
export function Plot({ embedding, sheets, classes, look, controls, onPick }) {
  const frame = useRef(null);
  const canvas = useRef(null);
  const mark = useRef(null);
  const plot = useRef(null);
  const [loaded, setLoaded] = useState(0);
  const [broken, setBroken] = useState(false);

  useLayoutEffect(() => {
    try {
      plot.current = createPlot({
        frame: frame.current,
        canvas: canvas.current,
        mark: mark.current,
        embedding,
        sheets,
        onPick,
        onLoaded: setLoaded,
      });
    } catch {
      setBroken(true);
      return undefined;
    }
    controls.current = plot.current;
    const observer = new ResizeObserver(() => plot.current.resize());
    observer.observe(frame.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, []);

  useEffect(() => {
    if (!plot.current) return;
    plot.current.scatter.setClasses(classes);
    plot.current.scatter.setStyle(look);
    plot.current.setShows((i) => classes[embedding.labels[i]].opacity > 0);
    plot.current.redraw();
  }, [classes, look]);

  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !plot.current) return;
    const direction = arrows[event.key];
    if (direction && event.shiftKey) plot.current.panBy(-step * direction[0], -step * direction[1]);
    else if (direction) plot.current.move(direction);
    else if (event.key === '+' || event.key === '=') plot.current.zoomBy(1.4);
    else if (event.key === '-') plot.current.zoomBy(1 / 1.4);
    else if (event.key === '0') plot.current.fit();
    else if (event.key === 'Escape') plot.current.pick(-1);
    else return;
    event.preventDefault();
  };
  const pickAt = (event) => {
    if (!plot.current) return;
    const { left, top } = frame.current.getBoundingClientRect();
    const found = plot.current.hit(event.clientX - left, event.clientY - top);
    // The mouse between two images keeps the last one; a click there lets it go.
    if (found >= 0 || event.type === 'click') plot.current.pick(found);
  };

  if (broken) return <p class="empty">This browser has no WebGL, which the plot needs.</p>;
  return (
    <div
      class="plot"
      ref={frame}
      tabIndex={0}
      role="application"
      aria-label={`Plot of ${embedding.count} images. Arrow keys go from image to image, plus and minus zoom, zero shows all.`}
      onKeyDown={onKeyDown}
      onPointerMove={(event) => event.pointerType === 'mouse' && event.buttons === 0 && pickAt(event)}
      onClick={pickAt}
    >
      <canvas ref={canvas} />
      <div class="mark" ref={mark} hidden />
      {sheets && loaded < 1 && (
        <div class="loading" role="status">
          Images {Math.round(100 * loaded)} %
        </div>
      )}
    </div>
  );
}
