import createRegl from 'regl';
import { createCommands, floatsPerImage } from './commands.js';
import { boxOf, lastLevel, levelOf, levelsOf } from './levels.js';

// An image at the whole plot, in CSS pixels; it grows with the fourth root of the zoom.
const smallestImage = 24;
const largestImage = 112;
const largestDot = 9;
const mostImages = 12000;
// Points that are nearer to others than this share of their size are left out: they would not be
// told apart.
const finest = 0.6;
const margin = 24;

/// Draws points, and the images themselves where there is room.
/// @param options  { canvas, points, labels, sheets or null, onChange: the share of sheets loaded }
export function createScatter({ canvas, points, labels, sheets, onChange }) {
  const regl = createRegl({
    canvas,
    extensions: ['ANGLE_instanced_arrays'],
    attributes: { antialias: false, alpha: true, preserveDrawingBuffer: false },
  });
  const commands = createCommands(regl);
  const count = points.length >> 1;
  const box = boxOf(points);
  const { levels, order, ends } = levelsOf(points, box);
  const colors = new Uint8Array(4 * count);
  const words = new Uint32Array(colors.buffer);
  // What the card gets of the points: those in view.
  const seenPlaces = new Float32Array(2 * count);
  const seenColors = new Uint32Array(count);
  const placeBuffer = regl.buffer({ length: seenPlaces.byteLength, usage: 'stream', type: 'float' });
  const colorBuffer = regl.buffer({ length: seenColors.byteLength, usage: 'stream', type: 'uint8' });
  const instances = new Float32Array((mostImages + 1) * floatsPerImage);
  const instanceBuffer = regl.buffer({ length: instances.byteLength, usage: 'dynamic', type: 'float' });
  const candidates = new Int32Array(mostImages);
  const drawn = { indices: new Int32Array(mostImages), count: 0, size: 0 };
  const textures = [];
  let size = { width: 1, height: 1, ratio: 1 };
  let base = { scale: 1, x: 0, y: 0 };
  let style = { frame: 1, mixing: 0, images: true };
  let picked = -1;
  let alive = true;

  async function loadSheets() {
    for (let i = 0; i < sheets.count && alive; ++i) {
      const image = await sheets.decode(i);
      if (!alive) return;
      const data = sheets.reduced(image, regl.limits.maxTextureSize);
      textures[i] = regl.texture({ data, min: 'linear', mag: 'nearest', flipY: false });
      onChange((i + 1) / sheets.count);
      await new Promise(requestAnimationFrame);
    }
  }

  // From the points' plane to CSS pixels without zoom.
  function fit() {
    const scale = Math.min(
      Math.max(1, size.width - 2 * margin) / (box.width || 1),
      Math.max(1, size.height - 2 * margin) / (box.height || 1),
    );
    base = {
      scale,
      x: size.width / 2 - (box.x0 + box.width / 2) * scale,
      y: size.height / 2 - (box.y0 + box.height / 2) * scale,
    };
  }

  // Puts the points that are in view and can be told apart into the card's buffers.
  function collectPoints({ scale, shiftX, shiftY, dot }) {
    const level = Math.round(levelOf((box.extent * scale) / (finest * dot)));
    const end = ends[Math.max(0, Math.min(lastLevel, level))];
    let seen = 0;
    for (let at = 0; at < end; ++at) {
      const i = order[at];
      if (colors[4 * i + 3] === 0) continue;
      const x = points[2 * i] * scale + shiftX;
      const y = points[2 * i + 1] * scale + shiftY;
      if (x < -10 || y < -10 || x > size.width + 10 || y > size.height + 10) continue;
      seenPlaces[2 * seen] = x;
      seenPlaces[2 * seen + 1] = y;
      seenColors[seen++] = words[i];
    }
    placeBuffer.subdata(seenPlaces.subarray(0, 2 * seen));
    colorBuffer.subdata(seenColors.subarray(0, seen));
    return seen;
  }

  function drawPoints(view) {
    const number = collectPoints(view);
    if (number === 0) return;
    commands.points({
      positions: placeBuffer,
      colors: { buffer: colorBuffer, type: 'uint8', normalized: true, size: 4 },
      middle: [size.width / 2, size.height / 2],
      size: size.ratio * view.dot,
      count: number,
    });
  }

  function imageSize(zoom) {
    return Math.min(largestImage, smallestImage * zoom ** 0.25);
  }

  // The images that are in view, by sheet: drawn.indices. Returns where each sheet's begin.
  function collect({ scale, shiftX, shiftY, level, full }) {
    const shown = level < 0 ? 0 : ends[Math.min(lastLevel, Math.floor(level))];
    const counts = new Uint32Array(sheets.count);
    let found = 0;
    for (let at = 0; at < shown && found < mostImages; ++at) {
      const i = order[at];
      const sheet = Math.floor(i / sheets.perSheet);
      if (colors[4 * i + 3] === 0 || !textures[sheet]) continue;
      const x = points[2 * i] * scale + shiftX;
      const y = points[2 * i + 1] * scale + shiftY;
      if (x < -full || y < -full || x > size.width + full || y > size.height + full) continue;
      candidates[found++] = i;
      counts[sheet] += 1;
    }
    const starts = [0];
    for (const number of counts) starts.push(starts.at(-1) + number);
    const next = [...starts];
    for (let at = 0; at < found; ++at) {
      const i = candidates[at];
      drawn.indices[next[Math.floor(i / sheets.perSheet)]++] = i;
    }
    drawn.count = found;
    drawn.size = full;
    return starts;
  }

  function writeInstances({ scale, shiftX, shiftY, level, full }) {
    // The picked image comes once more, last and on top.
    for (let at = 0; at < drawn.count + (picked >= 0); ++at) {
      const i = at < drawn.count ? drawn.indices[at] : picked;
      const tile = i % sheets.perSheet;
      const [red, green, blue, opacity] = colors.subarray(4 * i, 4 * i + 4);
      // What has just come is faint.
      const fresh = i === picked ? 1 : Math.min(1, 8 * (level - levels[i]));
      instances.set(
        [
          points[2 * i] * scale + shiftX,
          points[2 * i + 1] * scale + shiftY,
          full,
          tile % sheets.columns,
          Math.floor(tile / sheets.columns),
          red * 65536 + green * 256 + blue,
          (opacity / 255) * fresh,
        ],
        at * floatsPerImage,
      );
    }
  }

  function viewOf({ k, x, y }) {
    const full = imageSize(k);
    const scale = base.scale * k;
    return {
      full,
      dot: Math.min(largestDot, Math.max(2.2, 160 / Math.sqrt(count)) * k ** 0.3 + 1),
      scale,
      level: levelOf((box.extent * scale) / full),
      shiftX: base.x * k + x,
      shiftY: base.y * k + y,
    };
  }

  function drawSheet(sheet, first, number) {
    if (number === 0 || !textures[sheet]) return;
    const longest = Math.max(sheets.width, sheets.height);
    const at = first * floatsPerImage * 4;
    commands.images({
      buffer: instanceBuffer,
      at0: at,
      at1: at + 12,
      at2: at + 20,
      texture: textures[sheet],
      tiles: [sheets.columns, sheets.rows],
      middle: [size.width / 2, size.height / 2],
      aspect: [sheets.width / longest, sheets.height / longest],
      frame: style.frame,
      mixing: style.mixing,
      instances: number,
    });
  }

  function drawImages(view) {
    const starts = collect(view);
    writeInstances(view);
    instanceBuffer.subdata(instances.subarray(0, (drawn.count + 1) * floatsPerImage));
    for (let sheet = 0; sheet < sheets.count; ++sheet) {
      drawSheet(sheet, starts[sheet], starts[sheet + 1] - starts[sheet]);
    }
    if (picked >= 0) drawSheet(Math.floor(picked / sheets.perSheet), drawn.count, 1);
  }

  if (sheets) loadSheets().catch(() => {});

  return {
    box,
    count,
    /// Where point i is, in CSS pixels of the plot without zoom.
    place: (i) => [points[2 * i] * base.scale + base.x, points[2 * i + 1] * base.scale + base.y],
    /// A place in CSS pixels without zoom, in the points' plane.
    plane: (x, y) => [(x - base.x) / base.scale, (y - base.y) / base.scale],
    scale: () => base.scale,
    resize(width, height) {
      const ratio = Math.min(2, devicePixelRatio || 1);
      size = { width, height, ratio };
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      fit();
    },
    /// @param classes  for each class { color: [r, g, b], opacity } with opacity in [0, 1].
    setClasses(classes) {
      for (let i = 0; i < count; ++i) {
        const { color, opacity } = classes[labels[i]];
        colors[4 * i] = color[0];
        colors[4 * i + 1] = color[1];
        colors[4 * i + 2] = color[2];
        colors[4 * i + 3] = Math.round(255 * opacity);
      }
    },
    setPicked(i) {
      picked = i;
    },
    setStyle(next) {
      style = { ...style, ...next };
    },
    drawn,
    /// The image under a place, the last drawn first, or -1.
    imageAt(x, y, transform) {
      for (let at = drawn.count - 1; at >= 0; --at) {
        const i = drawn.indices[at];
        const dx = (points[2 * i] * base.scale + base.x) * transform.k + transform.x - x;
        const dy = (points[2 * i + 1] * base.scale + base.y) * transform.k + transform.y - y;
        if (2 * Math.max(Math.abs(dx), Math.abs(dy)) <= instances[at * floatsPerImage + 2]) return i;
      }
      return -1;
    },
    draw(transform) {
      regl.poll();
      regl.clear({ color: [0, 0, 0, 0] });
      drawn.count = 0;
      drawn.size = 0;
      const view = viewOf(transform);
      drawPoints(view);
      if (sheets && style.images) drawImages(view);
    },
    destroy() {
      alive = false;
      regl.destroy();
    },
  };
}
