import { readFileSync, readdirSync } from 'node:fs';
import { openPage, pause } from './browser.mjs';

const ticks = 100;  // of a process's clock in a second, on Linux

// The processor's seconds that the browser took so far: its frames a second depend on what else runs.
function processorSeconds(root) {
  const processes = new Map();
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${id}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
      processes.set(Number(id), { parent: Number(fields[1]), time: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // It has ended.
    }
  }
  const isOurs = (id) => id === root || (processes.has(id) && isOurs(processes.get(id).parent));
  let sum = 0;
  for (const [id, { time }] of processes) if (isOurs(id)) sum += time;
  return sum / ticks;
}

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
    return { rate: (1000 * f.count) / (performance.now() - f.start), longest: f.longest, count: f.count };
  });
}

/// Lines that tell the frames per second of panning, from afar to near.
export async function framesOfPanning(browser, address) {
  const page = await openPage(browser, `${address}#embedding`);
  await page.waitForSelector('.plot canvas');
  await page.waitForFunction(() => !document.querySelector('.loading'), { timeout: 30000 });
  // The first time everything is compiled.
  await pan(page);
  const lines = [];
  const box = await (await page.$('.plot')).boundingBox();
  for (const zoom of [1, 4, 16, 64]) {
    if (zoom > 1) {
      // Into the middle of a cluster; 500 of the wheel double.
      await page.mouse.move(box.x + 0.573 * box.width, box.y + 0.5 * box.height);
      await page.mouse.wheel({ deltaY: -1000 });
      await pause(300);
    }
    const before = processorSeconds(browser.process().pid);
    const { rate, longest, count } = await pan(page);
    const each = (1000 * (processorSeconds(browser.process().pid) - before)) / count;
    lines.push(
      `panning at zoom ${zoom}: ${rate.toFixed(0)} frames/s, longest ${longest.toFixed(0)} ms, ` +
        `${each.toFixed(0)} ms of the processor for each`,
    );
  }
  await page.close();
  return lines;
}
