import { select } from 'd3-selection';
import { zoom, zoomIdentity } from 'd3-zoom';

const smallestWhole = 0.12;

/// Zooms and pans `world` within `frame` by wheel, drag and pinch.
export function createViewport(frame, world) {
  let listener = () => {};
  let size = { width: 1, height: 1 };
  let frameWidth = frame.clientWidth;
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
      // Some empty room on each side, so that everything can be brought to the middle.
      const room = 800;
      behavior.translateExtent([
        [-room, -room],
        [width + room, height + room],
      ]);
    },
    /// What was in the middle of the frame stays there.
    resized() {
      const wider = frame.clientWidth - frameWidth;
      if (!frame.clientWidth) return;
      frameWidth = frame.clientWidth;
      if (wider) selection.call(behavior.translateBy, wider / 2 / frame.__zoom.k, 0);
      else tell(frame.__zoom);
    },
    /// The whole graph if it can be read then, else its top; `whole` asks for less of reading.
    fit({ whole = false } = {}) {
      const { clientWidth: w, clientHeight: h } = frame;
      if (!w || !h) return;
      const all = Math.min(w / size.width, h / size.height, 1.25);
      const wide = Math.min(1, Math.max(0.45, w / size.width));
      const k = all >= (whole ? smallestWhole : 0.62) ? all : whole ? smallestWhole : wide;
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
