// Opens the page with a made-up report in a browser without a window and uses every view:
// node test/page_test.mjs [--page FILE] [--out FOLDER]. With a folder it also measures how fluid the
// plot is and takes pictures of every view. Needs Chromium; CHROMIUM=/path names another.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findBrowser, launch, openPage, pause } from './browser.mjs';
import { checks } from './checks.mjs';
import { framesOfPanning } from './frames.mjs';
import { fill, sample } from './sample.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const pictures = option('--out');
const out = pictures ? resolve(pictures) : mkdtempSync(join(tmpdir(), 'striate-page-'));
const template = readFileSync(option('--page', join(here, '../dist/page.html')), 'utf8');

const views = ['network', 'photos', 'classes', 'embedding', 'training'];
const looks = [
  { name: 'light', width: 1440, height: 900 },
  { name: 'dark', width: 1440, height: 900, dark: true },
  { name: 'phone', width: 375, height: 760, scale: 2 },
  { name: 'phone-dark', width: 375, height: 760, scale: 2, dark: true },
  { name: 'wide', width: 2560, height: 1300 },
];

function write(name, report) {
  const path = join(out, name);
  writeFileSync(path, fill(template, report));
  return pathToFileURL(path).href;
}

async function photograph(browser, address) {
  for (const look of looks) {
    const page = await openPage(browser, address, look);
    for (const view of views) {
      await page.click(`#tab-${view}`);
      if (view === 'embedding') await page.waitForFunction(() => !document.querySelector('.loading'), { timeout: 30000 });
      await pause(300);
      await page.screenshot({ path: join(out, `${view}-${look.name}.png`), fullPage: view !== 'network' && view !== 'embedding' });
    }
    if (page.complaints.length) throw new Error(page.complaints.join('\n'));
    await page.close();
  }
}

async function run(browser) {
  let failed = 0;
  const small = sample({ points: 600 });
  const { thumbnails, ...points } = small.embedding;
  const holes = small.nodes.map(({ activations, ...node }) => ({
    ...node,
    statistics: node.statistics.map((one) => ({ ...one, mean: null, zeros: null, histogram: null })),
  }));
  const addresses = {
    small: write('small.html', small),
    nodes: write('nodes.html', { nodes: holes }),
    photos: write('photos.html', { photos: small.photos.map(({ top, attributions, ...photo }) => photo) }),
    classes: write('classes.html', { classes: small.classes.map(({ probability, ...one }) => one) }),
    embedding: write('embedding.html', { embedding: points }),
    epochs: write('epochs.html', { training: { epochs: [{ epoch: 1, train_loss: 2, validation_loss: null }] } }),
    snapshots: write('snapshots.html', { training: { snapshots: small.training.snapshots.slice(0, 1) } }),
    large: write('large.html', sample({ points: 600, network: 'densenet201' })),
    empty: write('empty.html', {}),
  };
  writeFileSync(join(out, 'template.html'), template);
  addresses.template = pathToFileURL(join(out, 'template.html')).href;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check({ browser, addresses });
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n        ${error.stack}`);
    }
  }
  if (pictures) {
    const address = write('sample.html', sample());
    for (const line of await framesOfPanning(browser, address)) console.log(line);
    await photograph(browser, address);
  }
  return failed;
}

const executable = findBrowser();
if (!executable) {
  console.log('page_test: no Chromium here (apt-get install chromium); nothing was tested');
  process.exit(77);
}
mkdirSync(out, { recursive: true });
const browser = await launch(executable);
try {
  process.exitCode = (await run(browser)) ? 1 : 0;
} finally {
  await browser.close();
  if (!pictures) rmSync(out, { recursive: true });
}
