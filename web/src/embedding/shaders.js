export const pointVertex = `
precision highp float;
attribute vec2 position;  // CSS pixels from the upper left
attribute vec4 color;
uniform vec2 middle;
uniform float size;
varying vec4 shade;
void main() {
  shade = vec4(color.rgb * color.a, color.a) * 0.85;
  gl_Position = vec4(position.x / middle.x - 1.0, 1.0 - position.y / middle.y, 0.0, 1.0);
  gl_PointSize = size;
}`;

export const pointFragment = `
precision highp float;
varying vec4 shade;
uniform float size;
void main() {
  float distance = length(gl_PointCoord - 0.5) * size;
  gl_FragColor = shade * clamp(0.5 * size - distance + 0.5, 0.0, 1.0);
}`;

export const imageVertex = `
precision highp float;
attribute vec2 corner;
attribute vec3 place;  // x and y in CSS pixels from the upper left, size
attribute vec2 tile;   // column, row
attribute vec2 tint;   // colour as one number, opacity
uniform vec2 middle, aspect;
varying vec2 inTile, fromTile;
varying vec4 shade;
varying float pixels;
void main() {
  vec2 at = place.xy + (corner - 0.5) * aspect * place.z;
  gl_Position = vec4(at.x / middle.x - 1.0, 1.0 - at.y / middle.y, 0.0, 1.0);
  inTile = corner;
  fromTile = tile;
  pixels = place.z;
  float red = floor(tint.x / 65536.0);
  float green = floor(mod(tint.x, 65536.0) / 256.0);
  shade = vec4(red, green, mod(tint.x, 256.0), 255.0 * tint.y) / 255.0;
}`;

export const imageFragment = `
precision highp float;
uniform sampler2D sheet;
uniform vec2 tiles;
uniform float frame, mixing;
varying vec2 inTile, fromTile;
varying vec4 shade;
varying float pixels;
void main() {
  // Stays within the tile: its neighbours must not shine in.
  vec2 inside = clamp(inTile, 0.004, 0.996);
  vec3 color = texture2D(sheet, (fromTile + inside) / tiles).rgb;
  float light = dot(color, vec3(0.299, 0.587, 0.114));
  color = mix(color, shade.rgb * (0.25 + 0.75 * light) + 0.35 * light * light, mixing);
  vec2 edge = min(inTile, 1.0 - inTile) * pixels;
  float border = frame * (1.0 - step(max(1.5, 0.045 * pixels), min(edge.x, edge.y)));
  gl_FragColor = vec4(mix(color, shade.rgb, border), 1.0) * shade.a;
}`;
