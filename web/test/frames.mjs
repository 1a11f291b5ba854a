import { openPage, pause } from './browser.mjs';

// Counts the frames while the mouse drags the plot to and fro for two seconds.
async function pan(page) {
  const box = await (await page.$('.plot')).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.evaluate(() => {
    window.frames_ = { count: 0, longest: 0, last: performance.now(), start: performance.now(), on: true };
    const tick = (now) => {
      const f = window.frames_;
      f.count += 1;
      f.longest = Math.max(f.longest, now - f.last);
      f.last = now;
      if (f.on) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await page.mouse.move(x, y);
  await page.mouse.down();
  const end = Date.now() + 2000;
  for (let i = 0; Date.now() < end; ++i) {
    await page.mouse.move(x + 160 * Math.sin(i / 9), y + 90 * Math.cos(i / 7));
  }
  await page.mouse.up();
  return page.evaluate(() => {
    const f = window.frames_;
    f.on = false;
    // What was drawn last must be done before the clock is read.
    const gl = document.querySelector('.plot canvas').getContext('webgl');
    gl.finish();
    return { rate: (1000 * f.count) / (performance.now() - f.start), longest: f.longest };
  });
}

/// Lines that tell the frames per second of panning, from afar to near.
export async function framesOfPanning(browser, address) {
  const page = await openPage(browser, `${address}#embedding`);
  await page.waitForSelector('.plot canvas');
  await page.waitForFunction(() => !document.querySelector('.loading'), { timeout: 30000 });
  await pause(500);
  const lines = [];
  let zoom = 1;
  for (const steps of [0, 4, 4, 4]) {
    await page.focus('.plot');
    for (let i = 0; i < steps; ++i) {
      await page.keyboard.press('+');
      zoom *= 1.4;
    }
    await pause(200);
    const { rate, longest } = await pan(page);
    lines.push(`panning 70,000 points at zoom ${zoom.toFixed(1)}: ${rate.toFixed(0)} frames/s, longest ${longest.toFixed(0)} ms`);
  }
  await page.close();
  return lines;
}
