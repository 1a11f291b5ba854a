// Node lists like those that the program writes: a ResNet-18, and a DenseNet-201 for size.

function createBuilder() {
  const nodes = [];
  const add = (name, type, inputs, shape, parameters = 0) => {
    nodes.push({
      name,
      type,
      description: type,
      inputs,
      shape,
      parameters,
      multiply_adds: type === 'Conv2d' ? parameters * shape[1] * shape[2] : parameters,
    });
    return nodes.length - 1;
  };
  const conv = (name, x, channels, size, kernel) => {
    const from = nodes[x].shape[0];
    const id = add(name, 'Conv2d', [x], [channels, size, size], from * channels * kernel * kernel);
    nodes[id].description = `${kernel}\u00d7${kernel} convolution, ${from} \u2192 ${channels} channels`;
    nodes[id].kernelSize = kernel;
    return id;
  };
  const same = (name, type, x) =>
    add(name, type, [x], nodes[x].shape, type === 'BatchNorm2d' ? 2 * nodes[x].shape[0] : 0);
  return { nodes, add, conv, same };
}

export function resnet18() {
  const { nodes, add, conv, same } = createBuilder();
  let x = add('input', 'Input', [], [3, 224, 224]);
  x = same('relu', 'ReLU', same('bn1', 'BatchNorm2d', conv('conv1', x, 64, 112, 7)));
  x = add('maxpool', 'MaxPool2d', [x], [64, 56, 56]);
  for (let layer = 1; layer <= 4; ++layer) {
    for (let block = 0; block < 2; ++block) {
      const name = (part) => `layer${layer}.${block}.${part}`;
      const channels = 32 << layer;
      const size = 112 >> layer;
      let y = conv(name('conv1'), x, channels, size, 3);
      y = same(name('relu'), 'ReLU', same(name('bn1'), 'BatchNorm2d', y));
      y = same(name('bn2'), 'BatchNorm2d', conv(name('conv2'), y, channels, size, 3));
      let shortcut = x;
      if (layer > 1 && block === 0) {
        shortcut = conv(name('downsample.0'), x, channels, size, 1);
        shortcut = same(name('downsample.1'), 'BatchNorm2d', shortcut);
      }
      x = add(name('add'), 'Add', [y, shortcut], nodes[y].shape);
      x = same(name('relu_1'), 'ReLU', x);
    }
  }
  x = add('avgpool', 'AdaptiveAvgPool2d', [x], [512, 1, 1]);
  x = add('flatten', 'Flatten', [x], [512]);
  add('fc', 'Linear', [x], [10], 5130);
  return nodes;
}

export function densenet201() {
  const { nodes, add, conv, same } = createBuilder();
  let x = add('input', 'Input', [], [3, 224, 224]);
  x = conv('features.conv0', x, 64, 112, 7);
  x = same('features.relu0', 'ReLU', same('features.norm0', 'BatchNorm2d', x));
  x = add('features.pool0', 'MaxPool2d', [x], [64, 56, 56]);
  let size = 56;
  [6, 12, 48, 32].forEach((layers, b) => {
    const block = `features.denseblock${b + 1}`;
    for (let i = 1; i <= layers; ++i) {
      const name = (part) => `${block}.denselayer${i}.${part}`;
      let y = same(name('relu1'), 'ReLU', same(name('norm1'), 'BatchNorm2d', x));
      y = conv(name('conv1'), y, 128, size, 1);
      y = same(name('relu2'), 'ReLU', same(name('norm2'), 'BatchNorm2d', y));
      y = conv(name('conv2'), y, 32, size, 3);
      const channels = nodes[x].shape[0] + 32;
      x = add(i === 1 ? `${block}.concat` : `${block}.concat_${i - 1}`, 'Concat', [x, y], [channels, size, size]);
    }
    if (b === 3) return;
    const name = (part) => `features.transition${b + 1}.${part}`;
    x = same(name('relu'), 'ReLU', same(name('norm'), 'BatchNorm2d', x));
    x = conv(name('conv'), x, nodes[x].shape[0] / 2, size, 1);
    size /= 2;
    x = add(name('pool'), 'AvgPool2d', [x], [nodes[x].shape[0], size, size]);
  });
  x = same('relu', 'ReLU', same('features.norm5', 'BatchNorm2d', x));
  x = add('adaptive_avg_pool2d', 'AdaptiveAvgPool2d', [x], [1920, 1, 1]);
  add('classifier', 'Linear', [add('flatten', 'Flatten', [x], [1920])], [10], 19210);
  return nodes;
}
