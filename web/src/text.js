// Numbers and names as a reader wants them.

export const times = '\u00d7';
const dash = '\u2013';

export function whole(value) {
  return Number.isFinite(value) ? value.toLocaleString('en') : dash;
}

export function short(value) {
  if (!Number.isFinite(value)) return dash;
  const units = [[1e12, ' T'], [1e9, ' G'], [1e6, ' M'], [1e3, ' k']];
  for (const [size, unit] of units) {
    if (value >= size) return `${(value / size).toPrecision(3)}${unit}`;
  }
  return String(value);
}

export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return dash;
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return text.replace('-', '\u2212');
}

export function percent(ratio, decimals = 1) {
  return Number.isFinite(ratio) ? `${(100 * ratio).toFixed(decimals)}\u00a0%` : dash;
}

export function shapeText(shape) {
  return shape.join(` ${times} `);
}

export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return dash;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/// "layer1.0.conv1" as ["layer1.0.", "conv1"].
export function splitName(name) {
  const at = name.lastIndexOf('.') + 1;
  return [name.slice(0, at), name.slice(at)];
}
