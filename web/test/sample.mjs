// A report as the program writes it, made up: node test/sample.mjs [--out FILE] [--densenet]
// puts it into dist/page.html.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as draw from './drawings.mjs';
import { densenet201, resnet18 } from './networks.mjs';
import { png } from './png.mjs';
import { createRandom } from './random.mjs';

const classNames = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
const photoCount = 3;
const epochCount = 20;

function histogram(random, positive) {
  const counts = Array.from({ length: 40 }, (_, i) => {
    const z = (i - (positive ? 6 : 19.5)) / 6;
    return Math.round(4000 * Math.exp(-0.5 * z * z) * (0.85 + 0.3 * random.uniform()));
  });
  return { low: positive ? -0.05 : -0.31, high: positive ? 0.62 : 0.34, counts };
}

function statistics(node, random) {
  const keys = { Conv2d: ['weight'], BatchNorm2d: ['weight', 'bias', 'running_mean', 'running_var'], Linear: ['weight', 'bias'] };
  return (keys[node.type] ?? []).map((key) => ({
    key: `${node.name}.${key}`,
    shape: node.type === 'Conv2d' ? [node.shape[0], 64, 3, 3] : [node.shape[0]],
    mean: 0.004 * random.normal(),
    deviation: 0.05 + 0.05 * random.uniform(),
    minimum: -0.31,
    maximum: 0.34,
    zeros: 0.02 * random.uniform(),
    histogram: histogram(random, key.startsWith('running')),
  }));
}

function lookInside(node, index, random) {
  const spatial = node.shape.length === 3 && node.shape[1] > 1;
  const photos = spatial ? [...Array(photoCount).keys()] : [];
  const size = spatial ? Math.min(14, node.shape[1]) : 0;
  const { kernelSize, ...rest } = node;
  return {
    ...rest,
    kernels: kernelSize > 1 ? draw.kernels(kernelSize, index) : null,
    activations: photos.map((photo) => ({ photo, picture: draw.activations(photo, size, index) })),
    statistics: statistics(node, random),
  };
}

const methods = [
  ['gradcam', 'Grad-CAM', 'Where the last convolutions find the evidence, coarse (Selvaraju et al., 2017).', true],
  ['gradcam_plus_plus', 'Grad-CAM++', 'Like Grad-CAM, better with several objects (Chattopadhay et al., 2018).', true],
  ['occlusion', 'Occlusion', 'How much the probability falls when a grey patch hides a place (Zeiler and Fergus, 2014).', true],
  ['saliency', 'Saliency', 'Which pixels change the score most (Simonyan et al., 2014).', false],
  ['guided_backpropagation', 'Guided backpropagation', 'The gradient, with only positive evidence passed back (Springenberg et al., 2015).', false],
  ['integrated_gradients', 'Integrated gradients', 'The gradient summed on the way from a black image (Sundararajan et al., 2017).', false],
  ['smoothgrad', 'SmoothGrad', 'The mean gradient of many noisy copies (Smilkov et al., 2017).', false],
];

function photos() {
  return Array.from({ length: photoCount }, (_, i) => {
    const probabilities = [0.82, 0.11, 0.04, 0.02, 0.006];
    return {
      name: ['pumpkin.jpg', 'stone </script><b>&amp;.png', 'moon.jpg'][i],
      picture: draw.photo(i),
      width: 224,
      height: 224,
      top: probabilities.map((probability, k) => {
        const index = (3 * i + k) % 10;
        return { class: classNames[index], index, probability };
      }),
      attributions: methods.map(([method, title, about, over], m) => ({
        method,
        title,
        about,
        class: classNames[(3 * i) % 10],
        picture: over ? draw.overlay(i, m) : draw.gradients(i, m),
        overlay: over,
      })),
    };
  });
}

// Clusters as t-SNE draws them: bent blobs beside each other, and a few strays.
function place(label, random) {
  const angle = label * 2.4;
  const radius = 30 * Math.sqrt((label + 0.4) / 10);
  const [u, v] = [3.4 * (random.uniform() + random.uniform() + random.uniform() - 1.5) * 2, 1.9 * random.normal()];
  const bend = 0.07 * u * u * (label % 2 ? 1 : -1);
  const turn = label * 1.1;
  const stray = () => (random.uniform() < 0.01 ? 8 * random.normal() : 0);
  return [
    radius * Math.cos(angle) * 1.3 + u * Math.cos(turn) - (v + bend) * Math.sin(turn) + stray(),
    radius * Math.sin(angle) + u * Math.sin(turn) + (v + bend) * Math.cos(turn) + stray(),
  ];
}

function embedding(count, random) {
  const points = new Float32Array(2 * count);
  const labels = new Uint16Array(count);
  const [size, columns, rows] = [28, 73, 73];
  const hands = draw.glyphs(random);
  const sheets = [];
  for (let start = 0; start < count; start += columns * rows) {
    const width = columns * size;
    const pixels = new Uint8Array(width * rows * size);
    for (let i = start; i < Math.min(count, start + columns * rows); ++i) {
      const label = random.below(10);
      labels[i] = label;
      points.set(place(label, random), 2 * i);
      const glyph = hands[label][random.below(20)];
      const [x, y] = [((i - start) % columns) * size, Math.floor((i - start) / columns) * size];
      for (let r = 0; r < size; ++r) pixels.set(glyph.subarray(r * size, (r + 1) * size), (y + r) * width + x);
    }
    sheets.push(png({ width, height: rows * size, channels: 1, pixels }));
  }
  const base64 = (array) => Buffer.from(array.buffer).toString('base64');
  return {
    method: 't-SNE',
    node: 'flatten',
    kl: 2.314,
    class_names: classNames,
    points: base64(points),
    labels: base64(labels),
    thumbnails: { width: size, height: size, columns, rows, sheets },
  };
}

function training(random) {
  const epochs = Array.from({ length: epochCount }, (_, i) => {
    const loss = 0.08 + 1.9 * Math.exp(-0.32 * i) + 0.02 * random.normal();
    const gap = 0.05 + 0.006 * i;
    return {
      epoch: i + 1,
      train_loss: loss,
      train_accuracy: 1 - 0.3 * loss,
      validation_loss: loss + gap + 0.03 * Math.abs(random.normal()),
      validation_accuracy: 1 - 0.3 * loss - 0.12 * gap,
      learning_rate: 0.1 * 0.5 * (1 + Math.cos((Math.PI * i) / epochCount)),
      seconds: 61 + random.normal(),
    };
  });
  const snapshots = [0, 1, 2, 5, 10, 20].map((epoch) => ({
    epoch,
    pictures: [
      { name: 'conv1 kernels', picture: draw.kernels(7, epoch * 0.12) },
      { name: 'layer1.0.conv1 kernels', picture: draw.kernels(3, 1 + epoch * 0.1) },
      { name: 'embedding of flatten', picture: draw.classPicture(epoch * 0.3) },
    ],
  }));
  return { epochs, snapshots };
}

export function sample({ points = 70000, network = 'resnet18' } = {}) {
  const random = createRandom(7);
  const nodes = network === 'densenet201' ? densenet201() : resnet18();
  const sum = (key) => nodes.reduce((total, node) => total + node[key], 0);
  return {
    title: `${network} on digits`,
    model: {
      name: network,
      input: [3, 224, 224],
      parameters: sum('parameters'),
      multiply_adds: sum('multiply_adds'),
      classes: classNames,
    },
    nodes: nodes.map((node, index) => lookInside(node, index, random)),
    photos: photos(),
    classes: classNames.map((name, index) => ({
      class: name,
      index,
      picture: draw.classPicture(index),
      probability: 0.9 + 0.099 * random.uniform(),
    })),
    embedding: embedding(points, random),
    training: training(random),
  };
}

/// The page with a report in it, as look_page_html makes it.
export function fill(template, report) {
  const json = JSON.stringify(report).replaceAll('<', '\\u003c');
  return template.replace('/*REPORT*/', () => json);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--out');
  const out = at < 0 ? 'sample.html' : process.argv[at + 1];
  const template = readFileSync(new URL('../dist/page.html', import.meta.url), 'utf8');
  const network = process.argv.includes('--densenet') ? 'densenet201' : 'resnet18';
  writeFileSync(out, fill(template, sample({ network })));
}
