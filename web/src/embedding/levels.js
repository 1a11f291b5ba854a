// Which images are shown at which zoom, so that they lie beside each other and not on top.
//
// At level l the plane has cells of extent / 8 / 2^(l/2); an image is shown from the first level at
// which no other image has taken its cell. So images only come as the reader zooms in, and never go.

export const lastLevel = 24;
const firstCells = 8;

/// The number of cells along the plot's extent at a level, which may be a fraction.
export const cellsAt = (level) => firstCells * 2 ** (level / 2);

/// The level at which a plot has this many cells along its extent.
export const levelOf = (cells) => 2 * Math.log2(cells / firstCells);

// A permutation that is the same each time: Fisher-Yates with a linear congruence.
function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 1;
  for (let i = count - 1; i > 0; --i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/// @param points  x0, y0, x1, y1…; @param box  { x0, y0, extent }
/// @return        a Uint8Array with the level of each point
export function levelsOf(points, box) {
  const count = points.length >> 1;
  const levels = new Uint8Array(count).fill(lastLevel);
  let placed = [];
  let waiting = shuffled(count);
  for (let level = 0; level < lastLevel && waiting.length > 0; ++level) {
    const cells = cellsAt(level) / box.extent;
    const row = Math.ceil(cells * box.extent) + 1;
    const cellOf = (i) =>
      Math.floor((points[2 * i] - box.x0) * cells) + row * Math.floor((points[2 * i + 1] - box.y0) * cells);
    const taken = new Set(placed.map(cellOf));
    const left = [];
    for (const i of waiting) {
      const cell = cellOf(i);
      if (taken.has(cell)) {
        left.push(i);
      } else {
        taken.add(cell);
        levels[i] = level;
        placed.push(i);
      }
    }
    waiting = left;
  }
  return levels;
}

/// The square around all points that are numbers.
export function boxOf(points) {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 2) {
    if (!Number.isFinite(points[i] + points[i + 1])) continue;
    x0 = Math.min(x0, points[i]);
    x1 = Math.max(x1, points[i]);
    y0 = Math.min(y0, points[i + 1]);
    y1 = Math.max(y1, points[i + 1]);
  }
  if (x0 > x1) return { x0: 0, y0: 0, width: 1, height: 1, extent: 1 };
  const width = x1 - x0;
  const height = y1 - y0;
  return { x0, y0, width, height, extent: Math.max(width, height) || 1 };
}
