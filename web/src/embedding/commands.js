import { imageFragment, imageVertex, pointFragment, pointVertex } from './shaders.js';

/// Of an image in the buffer: x, y, size, column, row, colour as one number, opacity.
export const floatsPerImage = 7;

const blend = {
  enable: true,
  func: { src: 'one', dst: 'one minus src alpha' },
};

/// What the card is asked to draw: points, and the images of one sheet.
export function createCommands(regl) {
  return {
    points: regl({
      vert: pointVertex,
      frag: pointFragment,
      attributes: { position: regl.prop('positions'), color: regl.prop('colors') },
      uniforms: {
        middle: regl.prop('middle'),
        size: regl.prop('size'),
      },
      count: regl.prop('count'),
      primitive: 'points',
      depth: { enable: false },
      blend,
    }),
    images: regl({
      vert: imageVertex,
      frag: imageFragment,
      attributes: {
        corner: [[0, 0], [1, 0], [0, 1], [1, 1]],
        place: { buffer: regl.prop('buffer'), stride: 4 * floatsPerImage, offset: regl.prop('at0'), divisor: 1 },
        tile: { buffer: regl.prop('buffer'), stride: 4 * floatsPerImage, offset: regl.prop('at1'), divisor: 1 },
        tint: { buffer: regl.prop('buffer'), stride: 4 * floatsPerImage, offset: regl.prop('at2'), divisor: 1 },
      },
      uniforms: {
        sheet: regl.prop('texture'),
        tiles: regl.prop('tiles'),
        middle: regl.prop('middle'),
        frame: regl.prop('frame'),
        mixing: regl.prop('mixing'),
        aspect: regl.prop('aspect'),
      },
      count: 4,
      instances: regl.prop('instances'),
      primitive: 'triangle strip',
      depth: { enable: false },
      blend,
    }),
  };
}
