import { select } from 'd3-selection';
import { zoom, zoomIdentity } from 'd3-zoom';

/// Zooms and pans `world` within `frame` by wheel, drag and pinch.
export function createViewport(frame, world) {
  let listener = () => {};
  let size = { width: 1, height: 1 };
  const behavior = zoom()
    .scaleExtent([0.05, 3])
    .filter((event) => !event.button && event.type !== 'dblclick' && !event.target.closest('.minimap'))
    .clickDistance(4)
    .on('zoom', ({ transform }) => {
      const { x, y, k } = transform;
      world.style.transform = `translate(${x}px, ${y}px) scale(${k})`;
      frame.dataset.far = k < 0.3 ? 'very' : k < 0.62 ? 'yes' : 'no';
      tell(transform);
    });
  const selection = select(frame).call(behavior);

  function tell({ x, y, k }) {
    listener({ x: -x / k, y: -y / k, width: frame.clientWidth / k, height: frame.clientHeight / k });
  }

  return {
    setSize(width, height) {
      size = { width, height };
      // Half a frame of empty room on each side, never more.
      const room = { x: frame.clientWidth / 2, y: frame.clientHeight / 2 };
      behavior.translateExtent([
        [-room.x, -room.y],
        [width + room.x, height + room.y],
      ]);
    },
    /// The whole graph if it stays readable, else its top at full width.
    fit({ whole = false } = {}) {
      const { clientWidth: w, clientHeight: h } = frame;
      if (!w || !h) return;
      const all = Math.min(w / size.width, h / size.height, 1.25);
      const wide = Math.min(1, Math.max(0.45, w / size.width));
      const k = whole || all >= 0.62 ? all : wide;
      const x = (w - size.width * k) / 2;
      const y = size.height * k < h ? (h - size.height * k) / 2 : 8;
      selection.call(behavior.transform, zoomIdentity.translate(x, y).scale(k));
    },
    /// Calls back with the part of the graph that is seen, now and whenever it changes.
    watch(next) {
      listener = next;
      tell(frame.__zoom);
      return () => {
        listener = () => {};
      };
    },
    centerOn: ({ x, y }) => selection.call(behavior.translateTo, x, y),
    zoomBy: (factor) => selection.call(behavior.scaleBy, factor),
    panBy(x, y) {
      const { k } = frame.__zoom;
      selection.call(behavior.translateBy, x / k, y / k);
    },
    /// Moves a place of the world into view, with a margin.
    reveal({ x, y }, half) {
      const { k, x: tx, y: ty } = frame.__zoom;
      const { clientWidth: w, clientHeight: h } = frame;
      const inside = (value, size, margin) => Math.max(margin, Math.min(size - margin, value));
      const sx = x * k + tx;
      const sy = y * k + ty;
      const dx = inside(sx, w, Math.min(w / 2, half.x * k + 24)) - sx;
      const dy = inside(sy, h, Math.min(h / 2, half.y * k + 40)) - sy;
      if (dx || dy) selection.call(behavior.translateBy, dx / k, dy / k);
    },
    /// Puts a place of the world where the reader saw another one.
    hold: (before, after) =>
      selection.call(behavior.translateBy, before.x - after.x, before.y - after.y),
    destroy: () => selection.on('.zoom', null),
  };
}
