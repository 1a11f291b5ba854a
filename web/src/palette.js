// Colours of classes that readers with any colour vision tell apart: P. Tol, Colour Schemes, 2021,
// "muted" on light and "light" on dark ground, each with a tenth.
const onLight = [
  '#cc6677', '#332288', '#c9ac3f', '#117733', '#5cb3e4', '#882255', '#44aa99', '#999933', '#aa4499',
  '#6b6f76',
];
const onDark = [
  '#77aadd', '#ee8866', '#eedd88', '#ffaabb', '#99ddff', '#44bb99', '#bbcc33', '#aaaa00', '#c08be0',
  '#c9cdd4',
];

function hueColors(count, dark) {
  const colors = [];
  for (let i = 0; i < count; ++i) {
    // The golden angle keeps neighbours apart; three lightnesses tell similar hues apart.
    const hue = (i * 137.508) % 360;
    const lightness = (dark ? 62 : 38) + 12 * (i % 3);
    colors.push(hslToHex(hue, 62, lightness));
  }
  return colors;
}

function hslToHex(hue, saturation, lightness) {
  const s = saturation / 100;
  const l = lightness / 100;
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    const value = l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value).toString(16).padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

export function classColors(count, dark) {
  const fixed = dark ? onDark : onLight;
  return count <= fixed.length ? fixed.slice(0, count) : hueColors(count, dark);
}

export function rgb(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
