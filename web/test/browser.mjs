import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function findBrowser() {
  return places.find((path) => path && existsSync(path));
}

/// A browser without a window, with OpenGL in software.
export function launch(executablePath) {
  const args = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist',
    '--force-color-profile=srgb', '--hide-scrollbars'];
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  return puppeteer.launch({ executablePath, headless: true, args, protocolTimeout: 120000 });
}

/// A page at a file's address; whatever it complains of comes to `page.complaints`.
export async function openPage(browser, address, { width = 1440, height = 900, dark = false, scale = 1, still = false } = {}) {
  const page = await browser.newPage();
  await page.setViewport({ width, height, deviceScaleFactor: scale, hasTouch: width < 600, isMobile: width < 600 });
  await page.emulateMediaFeatures([
    { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' },
    { name: 'prefers-reduced-motion', value: still ? 'reduce' : 'no-preference' },
  ]);
  page.complaints = [];
  page.on('console', (message) => {
    if (['error', 'warn', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('requestfailed', (request) => page.complaints.push(`failed: ${request.url().slice(0, 100)}`));
  page.on('request', (request) => {
    if (!/^(file|data|blob):/.test(request.url())) page.complaints.push(`network: ${request.url()}`);
  });
  await page.goto(address, { waitUntil: 'load', timeout: 60000 });
  return page;
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
