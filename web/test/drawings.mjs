// Pictures for the sample: photos, kernels, activations, heat maps, thumbnails.
import { png } from './png.mjs';

const clamp = (value) => Math.max(0, Math.min(255, Math.round(value)));

function paint(width, height, channels, pixel) {
  const pixels = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const color = pixel(x / width, y / height);
      for (let c = 0; c < channels; ++c) pixels[(y * width + x) * channels + c] = clamp(color[c]);
    }
  }
  return png({ width, height, channels, pixels });
}

const scenes = [
  { sky: [150, 190, 230], ground: [90, 120, 60], thing: [200, 120, 60], at: [0.52, 0.55], wide: 0.24 },
  { sky: [240, 200, 160], ground: [120, 90, 80], thing: [60, 70, 110], at: [0.42, 0.48], wide: 0.2 },
  { sky: [60, 70, 110], ground: [30, 40, 50], thing: [230, 210, 120], at: [0.6, 0.42], wide: 0.18 },
];

export function photo(index) {
  const { sky, ground, thing, at, wide } = scenes[index % scenes.length];
  return paint(224, 224, 3, (x, y) => {
    const hill = 0.7 + 0.06 * Math.sin(9 * x + index) + 0.03 * Math.sin(23 * x);
    const base = y > hill ? ground : sky.map((c) => c * (0.75 + 0.4 * y));
    const angle = Math.atan2(y - at[1], x - at[0]);
    const distance = Math.hypot(x - at[0], y - at[1]);
    const edge = wide * (1 + 0.18 * Math.sin(5 * angle + index));
    if (distance > edge) return base.map((c) => c + 6 * Math.sin(70 * x + 40 * y));
    const light = 1.25 - 1.2 * (distance / edge) ** 2 * (0.5 + 0.5 * Math.sin(angle + 1));
    return thing.map((c) => c * light + 10 * Math.sin(60 * distance));
  });
}

function heat(index, x, y, method) {
  const { at, wide } = scenes[index % scenes.length];
  const shift = 0.05 * Math.sin(method * 2.1);
  const distance = Math.hypot(x - at[0] - shift, y - at[1] + shift);
  const blob = Math.exp(-((distance / (wide * (0.6 + 0.1 * method))) ** 2));
  const fine = method % 3 === 2 ? 0.6 + 0.4 * Math.sin(90 * x) * Math.cos(84 * y) : 1;
  return blob * fine;
}

/// Warm where the evidence is, clear where none is.
export function overlay(index, method) {
  return paint(224, 224, 4, (x, y) => {
    const h = heat(index, x, y, method);
    return [255 * Math.min(1, 2 * h), 255 * Math.max(0, 2 * h - 0.9), 60 * (1 - h), 235 * Math.min(1, 1.3 * h)];
  });
}

/// A picture of its own: gradients on grey.
export function gradients(index, method) {
  return paint(224, 224, 3, (x, y) => {
    const h = heat(index, x, y, method);
    const wave = (f) => 128 + 120 * h * Math.sin(f * x + 31 * y * f * 0.02) * Math.cos(f * 0.7 * y);
    return [wave(130), wave(150), wave(171)];
  });
}

/// A grid of k x k kernels with a pixel between them.
export function kernels(size, seed) {
  const side = 8 * (size + 1) + 1;
  return paint(side, side, 3, (x, y) => {
    const [px, py] = [Math.round(x * side), Math.round(y * side)];
    if (px % (size + 1) === 0 || py % (size + 1) === 0) return [128, 128, 128];
    const [gx, gy] = [Math.floor(px / (size + 1)), Math.floor(py / (size + 1))];
    const [u, v] = [(px % (size + 1)) / size - 0.5, (py % (size + 1)) / size - 0.5];
    const angle = (gx + 8 * gy + seed) * 0.73;
    const wave = Math.cos((5 + gy) * (u * Math.cos(angle) + v * Math.sin(angle)) + gx);
    const near = Math.exp(-4 * (u * u + v * v));
    const tint = (c) => 128 + 120 * wave * near * (0.6 + 0.4 * Math.sin(gx * 2 + gy + c + seed));
    return [tint(0), tint(2), tint(4)];
  });
}

/// A grid of 8 x 8 channels.
export function activations(index, size, seed) {
  const side = 8 * (size + 1) + 1;
  return paint(side, side, 1, (x, y) => {
    const [px, py] = [Math.round(x * side), Math.round(y * side)];
    if (px % (size + 1) === 0 || py % (size + 1) === 0) return [0];
    const channel = Math.floor(px / (size + 1)) + 8 * Math.floor(py / (size + 1));
    const [u, v] = [(px % (size + 1)) / size, (py % (size + 1)) / size];
    const wave = 0.5 + 0.5 * Math.sin((channel % 7) * 3 * u + (channel % 5) * 4 * v + seed + channel);
    return [255 * Math.max(0, heat(index, u, v, channel % 4) * 0.75 + 0.45 * wave - 0.25)];
  });
}

export function classPicture(index) {
  return paint(224, 224, 3, (x, y) => {
    const wave = (f, p) =>
      128 + 60 * Math.sin(f * x + p + 3 * Math.sin(5 * y + index)) * Math.cos(f * y * 0.8 - p + 2 * Math.sin(7 * x)) + 30 * Math.sin(40 * (x + y) + index);
    return [wave(11 + index, index), wave(13 + index * 0.7, 2 * index), wave(9 + 1.3 * index, 4)];
  });
}

// The seven bars of a digit, each from (x, y) to (x, y).
const bars = [
  [8, 5, 19, 5], [19, 5, 19, 13], [19, 13, 19, 22], [8, 22, 19, 22], [8, 13, 8, 22], [8, 5, 8, 13], [8, 13, 19, 13],
];
const digits = ['012345', '12', '01643', '01236', '1256', '02356', '023456', '012', '0123456', '012356'];

function toBar(x, y, [x0, y0, x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const t = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}

/// Twenty hands for each digit, 28 x 28 in grey: glyphs[label][hand].
export function glyphs(random) {
  return digits.map((digit) =>
    Array.from({ length: 20 }, () => {
      const [slant, thick] = [0.5 * (random.uniform() - 0.3), 1 + 1.6 * random.uniform()];
      const [wide, high] = [0.8 + 0.4 * random.uniform(), 0.85 + 0.3 * random.uniform()];
      const glyph = new Uint8Array(784);
      for (let y = 0; y < 28; ++y) {
        for (let x = 0; x < 28; ++x) {
          const u = (x - 13.5 + slant * (y - 13.5)) / wide + 13.5;
          const v = (y - 13.5) / high + 13.5;
          const distance = Math.min(...[...digit].map((bar) => toBar(u, v, bars[bar])));
          glyph[28 * y + x] = clamp(255 * (thick + 0.6 - distance));
        }
      }
      return glyph;
    }),
  );
}
