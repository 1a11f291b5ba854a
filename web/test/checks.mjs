// Each check is a sentence that can be false.
import assert from 'node:assert/strict';
import { openPage, pause } from './browser.mjs';

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const count = (page, selector) => page.$$eval(selector, (elements) => elements.length);
const active = (page) => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent);

async function withPage({ browser, address, options }, use) {
  const page = await openPage(browser, address, options);
  try {
    await use(page);
    assert.deepEqual(page.complaints, []);
  } finally {
    await page.close();
  }
}

async function transformOf(page, selector) {
  return page.$eval(selector, (element) => element.style.transform);
}

async function differs(page, selector, change) {
  const shot = async () => (await (await page.$(selector)).screenshot()).toString();
  const before = await shot();
  await change();
  await pause(250);
  return before !== (await shot());
}

export const checks = {
  'a page without a report says so': async ({ browser, addresses }) => {
    for (const address of [addresses.template, addresses.empty]) {
      await withPage({ browser, address }, async (page) => {
        assert.match(await text(page, 'main'), /holds no report/);
        assert.equal(await count(page, '[role=tab]'), 0);
      });
    }
  },

  'each part stands alone, and with holes': async ({ browser, addresses }) => {
    const parts = {
      nodes: '.graph .card',
      photos: '.photo-main img',
      classes: '.gallery .figure',
      embedding: '.plot canvas',
      epochs: '.uplot',
      snapshots: '.snapshots .figure',
    };
    for (const [part, selector] of Object.entries(parts)) {
      await withPage({ browser, address: addresses[part] }, async (page) => {
        await pause(100);
        assert.equal(await count(page, '[role=tab]'), 1, part);
        assert.ok(await count(page, selector), part);
      });
    }
  },

  'arrow keys go through the tabs, and the address names the view': async ({ browser, addresses }) => {
    await withPage({ browser, address: addresses.small }, async (page) => {
      assert.equal(await count(page, '[role=tab]'), 5);
      await page.focus('#tab-network');
      await page.keyboard.press('ArrowRight');
      assert.equal(await text(page, '[aria-selected=true]'), 'Photos');
      assert.match(page.url(), /#photos$/);
      await page.keyboard.press('End');
      assert.equal(await text(page, '[aria-selected=true]'), 'Training');
      assert.equal(await count(page, '.view:not([hidden])'), 1);
    });
    await withPage({ browser, address: `${addresses.small}#classes` }, async (page) => {
      assert.equal(await text(page, '[aria-selected=true]'), 'Classes');
    });
  },

  'the graph opens blocks and layers by keyboard and mouse': async ({ browser, addresses }) => {
    await withPage({ browser, address: addresses.small }, async (page) => {
      const cards = await count(page, '.card');
      assert.ok(cards >= 10 && cards <= 48, `${cards} cards`);
      assert.equal(await text(page, '.panel h2'), 'conv1');

      await page.focus('.card[tabindex="0"]');
      for (let i = 0; i < 5; ++i) await page.keyboard.press('ArrowDown');
      assert.match(await active(page), /^layer1\.0, 7 layers/);
      await page.keyboard.press('Enter');
      await pause(100);
      assert.equal(await count(page, '.card'), cards + 6);
      assert.match(await active(page), /^layer1\.0\.conv1/);
      await page.keyboard.press('Backspace');
      await pause(100);
      assert.equal(await count(page, '.card'), cards);
      assert.match(await active(page), /^layer1\.0, 7 layers/);
      await page.keyboard.press('Enter');
      await pause(100);
      await page.keyboard.press('Enter');
      assert.equal(await text(page, '.panel h2'), 'layer1.0.conv1');
      assert.ok(await count(page, '.panel .histogram'));
      await page.keyboard.press('Escape');
      assert.equal(await count(page, '.panel'), 0);
      assert.match(await active(page), /^layer1\.0\.conv1/);

      await page.click('.buttons button:nth-child(2)');
      await pause(100);
      assert.ok((await count(page, '.card')) < cards);
      await page.click('.buttons button:nth-child(1)');
      await pause(100);
      assert.equal(await count(page, '.card'), 70);
    });
  },

  'the graph zooms and pans by wheel, mouse and keys': async ({ browser, addresses }) => {
    await withPage({ browser, address: addresses.small }, async (page) => {
      const seen = [await transformOf(page, '.world')];
      const moved = async (what) => {
        await pause(120);
        const now = await transformOf(page, '.world');
        assert.ok(!seen.includes(now), what);
        seen.push(now);
      };
      const box = await (await page.$('.graph')).boundingBox();
      await page.mouse.move(box.x + 60, box.y + 300);
      await page.mouse.wheel({ deltaY: 240 });
      await moved('wheel');
      await page.mouse.down();
      await page.mouse.move(box.x + 130, box.y + 200, { steps: 4 });
      await page.mouse.up();
      await moved('drag');
      await page.focus('.card[tabindex="0"]');
      for (const key of ['-', '0', '+']) {
        await page.keyboard.press(key);
        await moved(key);
      }
      await page.keyboard.down('Shift');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.up('Shift');
      await moved('Shift with an arrow');
    });
  },

  'links in the panel go to layers in closed blocks': async ({ browser, addresses }) => {
    await withPage({ browser, address: addresses.small }, async (page) => {
      await page.click('[data-key="node 4"]');
      assert.equal(await text(page, '.panel h2'), 'maxpool');
      await page.evaluate(() => [...document.querySelectorAll('.panel .link')].at(-1).click());
      await pause(150);
      assert.match(await text(page, '.panel h2'), /^layer1\.0\./);
      assert.equal(await count(page, '.card[aria-pressed=true]'), 1);
    });
  },

  'DenseNet-201 is laid out in a second, closed, and in five, open': async ({ browser, addresses }) => {
    await withPage({ browser, address: addresses.large }, async (page) => {
      assert.ok((await count(page, '.card')) <= 48);
      const time = async (button) =>
        page.evaluate(async (n) => {
          const start = performance.now();
          document.querySelector(`.buttons button:nth-child(${n})`).click();
          await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          return performance.now() - start;
        }, button);
      const open = await time(1);
      assert.equal(await count(page, '.card'), 708);
      console.log(`        all 708 nodes of DenseNet-201 in ${open.toFixed(0)} ms`);
      assert.ok(open < 5000, `${open} ms`);
      const closed = await time(2);
      assert.ok(closed < 1000, `${closed} ms`);
    });
  },

  'a photo shows its classes and maps, and the slider blends them': async ({ browser, addresses }) => {
    await withPage({ browser, address: `${addresses.small}#photos` }, async (page) => {
      assert.equal(await count(page, '.attributions .figure'), 7);
      assert.equal(await count(page, '.attributions .over'), 3);
      assert.equal(await count(page, '.top tr'), 5);
      await page.focus('.photos .chooser input:checked');
      await page.keyboard.press('ArrowRight');
      assert.equal(await text(page, '.photo-says h2'), 'stone </script><b>&amp;.png');
      await page.focus('.slider input');
      assert.ok(await differs(page, '.attributions', async () => {
        for (let i = 0; i < 6; ++i) await page.keyboard.press('ArrowLeft');
      }));
      assert.equal(await page.$eval('.attributions .over', (image) => image.style.opacity), '0.3');
    });
  },

  'pictures open enlarged, and arrow keys go through them': async ({ browser, addresses }) => {
    await withPage({ browser, address: `${addresses.small}#classes` }, async (page) => {
      assert.equal(await count(page, '.gallery .figure'), 10);
      await page.focus('.gallery .figure:nth-child(2) button');
      await page.keyboard.press('Enter');
      assert.equal(await text(page, '.enlarged strong'), 'one');
      await page.keyboard.press('ArrowRight');
      assert.equal(await text(page, '.enlarged strong'), 'two');
      await page.keyboard.press('Escape');
      await pause(50);
      assert.equal(await count(page, '.enlarged'), 0);
      assert.equal(await active(page), 'Enlarge one');
    });
  },

  'the plot shows images, which mouse and arrow keys pick': async ({ browser, addresses }) => {
    await withPage({ browser, address: `${addresses.small}#embedding` }, async (page) => {
      await page.waitForFunction(() => !document.querySelector('.loading'));
      await page.focus('.plot');
      await page.keyboard.press('ArrowRight');
      const first = await text(page, '.detail p');
      assert.match(first, /image \d+/);
      await page.keyboard.press('ArrowLeft');
      const second = await text(page, '.detail p');
      assert.notEqual(first, second);
      assert.ok(await differs(page, '.plot', () => page.keyboard.press('+')));
      assert.ok(await differs(page, '.plot', () => page.keyboard.press('0')));
      await page.keyboard.press('Escape');
      assert.match(await text(page, '.detail p'), /Point at an image/);
      const at = await page.evaluate(() => {
        const { left, top, width, height } = document.querySelector('.plot').getBoundingClientRect();
        return { left, top, width, height };
      });
      let found = false;
      for (let i = 1; i < 12 && !found; ++i) {
        await page.mouse.move(at.left + (at.width * i) / 12, at.top + at.height / 2);
        found = /image/.test(await text(page, '.detail p')) && (await count(page, '.detail .chip')) === 1;
      }
      assert.ok(found, 'the mouse picks an image');
      for (const look of ['Tinted', 'Plain', 'Points']) {
        assert.ok(await differs(page, '.plot', () => page.evaluate((name) => {
          [...document.querySelectorAll('.segments label')].find((l) => l.textContent === name).click();
        }, look)), look);
      }
    });
  },

  'the legend hides classes': async ({ browser, addresses }) => {
    await withPage({ browser, address: `${addresses.small}#embedding` }, async (page) => {
      await page.waitForFunction(() => !document.querySelector('.loading'));
      await page.focus('.legend li button');
      assert.ok(await differs(page, '.plot', () => page.keyboard.press('Space')));
      assert.equal(await count(page, '.legend [aria-pressed=false]'), 1);
      await page.click('.legend-head button:nth-child(2)');
      assert.equal(await count(page, '.legend [aria-pressed=false]'), 10);
      await page.click('.legend-head button:nth-child(1)');
      assert.equal(await count(page, '.legend [aria-pressed=false]'), 0);
    });
  },

  'arrow keys move along the curves and through the snapshots': async ({ browser, addresses }) => {
    await withPage({ browser, address: `${addresses.small}#training` }, async (page) => {
      assert.equal(await count(page, '.uplot'), 4);
      await pause(100);
      assert.match(await text(page, '.u-legend'), /epoch.*20/);
      await page.focus('.curves [tabindex]');
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowRight');
      await pause(100);
      assert.match(await text(page, '.u-legend'), /epoch\D*2\D/);
      assert.equal(await text(page, '.player output'), 'Epoch 20');
      await page.focus('.player input');
      await page.keyboard.press('ArrowLeft');
      assert.equal(await text(page, '.player output'), 'Epoch 10');
      await page.click('.player button');
      await pause(1000);
      assert.equal(await text(page, '.player output'), 'Epoch 20');
    });
  },

  'nothing is wider than a phone': async ({ browser, addresses }) => {
    const options = { width: 375, height: 760 };
    await withPage({ browser, address: addresses.small, options }, async (page) => {
      for (const view of ['network', 'photos', 'classes', 'embedding', 'training']) {
        await page.tap(`#tab-${view}`);
        await pause(100);
        assert.equal(await text(page, '[aria-selected=true]').then((name) => name.toLowerCase()), view);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${view}: ${over} pixels`);
      }
      await page.tap('#tab-network');
      assert.equal(await count(page, '.panel'), 0);
      await page.tap('[data-key="node 1"]');
      await pause(100);
      assert.equal(await text(page, '.panel h2'), 'conv1');
    });
  },

  'every button and field has a name': async ({ browser, addresses }) => {
    await withPage({ browser, address: addresses.small }, async (page) => {
      for (const view of ['network', 'photos', 'classes', 'embedding', 'training']) {
        await page.click(`#tab-${view}`);
        await pause(100);
        const tree = await page.accessibility.snapshot({ interestingOnly: true });
        const nameless = [];
        const visit = (node) => {
          if (/button|slider|radio|tab$|searchbox/.test(node.role) && !node.name) nameless.push(node.role);
          (node.children ?? []).forEach(visit);
        };
        visit(tree);
        assert.deepEqual(nameless, [], view);
      }
    });
  },
};
