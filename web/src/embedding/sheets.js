// The sprite sheets of the thumbnails: decoded one after the other, cut to what the card can hold.

// All sheets together, as bytes on the graphics card.
const most = 256 * 2 ** 20;

export function createSheets(thumbnails) {
  const { width, height, columns, rows, sheets } = thumbnails;
  const perSheet = columns * rows;
  const images = sheets.map(() => null);
  let wanted = -1;
  const total = sheets.length * columns * rows * width * height * 4;

  async function decode(index) {
    const image = new Image();
    image.src = sheets[index];
    await image.decode();
    images[index] = image;
    return image;
  }

  // The image as it is, or smaller when all of them would not fit.
  function reduced(image, limit) {
    const shrink = Math.min(
      1,
      Math.sqrt(most / total),
      limit / Math.max(image.naturalWidth, image.naturalHeight),
    );
    if (shrink === 1) return image;
    const canvas = document.createElement('canvas');
    canvas.width = Math.floor(image.naturalWidth * shrink);
    canvas.height = Math.floor(image.naturalHeight * shrink);
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  return {
    width,
    height,
    columns,
    rows,
    perSheet,
    count: sheets.length,
    decode,
    reduced,
    /// Draws thumbnail `index` over the whole of a canvas.
    async drawTo(canvas, index) {
      const sheet = Math.floor(index / perSheet);
      if (sheet >= sheets.length) return;
      wanted = index;
      const image = images[sheet] ?? (await decode(sheet));
      if (wanted !== index) return;
      const at = index % perSheet;
      const context = canvas.getContext('2d');
      canvas.width = width;
      canvas.height = height;
      const x = (at % columns) * width;
      const y = Math.floor(at / columns) * height;
      context.drawImage(image, x, y, width, height, 0, 0, width, height);
    },
  };
}
