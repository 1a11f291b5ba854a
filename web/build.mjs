// Bundles src/ into one page without other files: node build.mjs [--out FILE]
// [--depfile FILE], which lists for Ninja what the page was made of.
import { build } from 'esbuild';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = dirname(fileURLToPath(import.meta.url));
const placeholder = '/*REPORT*/';

function option(name, otherwise) {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
}

async function bundle(entry, extra) {
  const result = await build({
    absWorkingDir: web,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    legalComments: 'inline',
    target: ['chrome100', 'firefox100', 'safari15.4'],
    charset: 'utf8',
    logLevel: 'warning',
    ...extra,
  });
  return { text: result.outputFiles[0].text, inputs: Object.keys(result.metafile.inputs) };
}

function packageOf(input) {
  return input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1];
}

// The notice of every package of which the page contains code.
async function licences(inputs) {
  const names = [...new Set(inputs.map(packageOf).filter(Boolean))].sort();
  const parts = [];
  for (const name of names) {
    const folder = join(web, 'node_modules', name);
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence file`);
    const text = await readFile(join(folder, file), 'utf8');
    parts.push(`${name} ${version}\n\n${text.trim()}`);
  }
  const text = parts.join('\n\n' + '-'.repeat(72) + '\n\n');
  if (/<\/?script|<!--/i.test(text)) throw new Error('a licence would end the page’s script');
  return text + '\n';
}

function fill(page, name, text) {
  const mark = `<!--${name}-->`;
  if (page.split(mark).length !== 2) throw new Error(`page.html needs ${mark} once`);
  return page.replace(mark, () => text);
}

const script = await bundle('src/main.jsx', {
  format: 'iife',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  define: { 'process.env.NODE_ENV': '"production"' },
});
const style = await bundle('src/style/page.css', {});
if (/<\/style/i.test(style.text)) throw new Error('a style would end the page’s style');
if (/<\/script|<!--/i.test(script.text)) throw new Error('a text would end the page’s script');

let page = await readFile(join(web, 'src/page.html'), 'utf8');
page = fill(page, 'STYLE', style.text.trim());
page = fill(page, 'LICENCES', await licences([...script.inputs, ...style.inputs]));
page = fill(page, 'SCRIPT', script.text.trim());
if (page.split(placeholder).length !== 2) throw new Error(`${placeholder} is there more than once`);

const out = resolve(option('--out', join(web, 'dist/page.html')));
await mkdir(dirname(out), { recursive: true });
await writeFile(out, page);
const depfile = option('--depfile');
if (depfile) {
  const inputs = ['src/page.html', ...script.inputs, ...style.inputs].map((input) => join(web, input));
  const escaped = [out, ...inputs].map((path) => path.replaceAll(' ', '\\ '));
  await writeFile(depfile, `${escaped[0]}: ${escaped.slice(1).join(' ')}\n`);
}
console.log(`${relative('.', out)}: ${Math.round(page.length / 1024)} kB`);
