// Which images are shown at which zoom, so that they lie beside each other and not on top.
//
// At level l images keep a distance of extent / 8 / 2^(l/3) in x or in y; an image is shown from the
// first level at which no other is nearer. So images only come as the reader zooms in, and never go.

export const lastLevel = 27;
const firstCells = 8;
// A grid of more cells than this is a map, not an array.
const denseCells = 2 ** 22;

/// The level at which a plot has this many cells along its extent.
export const levelOf = (cells) => 3 * Math.log2(cells / firstCells);

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

// Remembers the point in each cell; none are nearer than a cell, so a cell has one at most.
function createGrid(points, box, across) {
  const row = across + 3;
  const dense = row * row <= denseCells;
  const cells = dense ? new Int32Array(row * row) : new Map();
  const scale = across / box.extent;
  const column = (i) => 1 + Math.floor((points[2 * i] - box.x0) * scale);
  const line = (i) => 1 + Math.floor((points[2 * i + 1] - box.y0) * scale);
  const near = (i, j) =>
    Math.abs(points[2 * i] - points[2 * j]) * scale < 1 &&
    Math.abs(points[2 * i + 1] - points[2 * j + 1]) * scale < 1;
  const at = dense ? (cell) => cells[cell] : (cell) => cells.get(cell) ?? 0;
  return {
    put(i) {
      const cell = column(i) + row * line(i);
      if (dense) cells[cell] = i + 1;
      else cells.set(cell, i + 1);
    },
    isFree(i) {
      const middle = column(i) + row * line(i);
      for (let dy = -row; dy <= row; dy += row) {
        for (let dx = -1; dx <= 1; ++dx) {
          const other = at(middle + dx + dy);
          if (other && near(i, other - 1)) return false;
        }
      }
      return true;
    },
  };
}

/// @param points  x0, y0, x1, y1…; @param box  { x0, y0, extent }
/// @return        { levels: of each point, order: the points by level, ends: for each level the
///                  number of points up to it }
export function levelsOf(points, box) {
  const count = points.length >> 1;
  const levels = new Uint8Array(count).fill(lastLevel);
  const placed = [];
  const ends = new Array(lastLevel + 1).fill(count);
  let waiting = shuffled(count).filter((i) => Number.isFinite(points[2 * i] + points[2 * i + 1]));
  for (let level = 0; level < lastLevel && waiting.length > 0; ++level) {
    const grid = createGrid(points, box, Math.ceil(firstCells * 2 ** (level / 3)));
    for (const i of placed) grid.put(i);
    waiting = waiting.filter((i) => {
      if (!grid.isFree(i)) return true;
      grid.put(i);
      placed.push(i);
      levels[i] = level;
      return false;
    });
    ends[level] = placed.length;
  }
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => levels[a] - levels[b]);
  return { levels, order, ends };
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
