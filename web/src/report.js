// The JSON of the report, with an empty list for every part that is missing.

const list = (value) => (Array.isArray(value) ? value : []);

function readNode(node, index) {
  return {
    ...node,
    index,
    name: node.name ?? `node ${index}`,
    type: node.type ?? '',
    inputs: list(node.inputs),
    shape: list(node.shape),
    activations: list(node.activations),
    statistics: list(node.statistics),
    outputs: [],
  };
}

function readNodes(nodes) {
  const result = list(nodes).map(readNode);
  for (const node of result) {
    for (const input of node.inputs) result[input]?.outputs.push(node.index);
  }
  return result;
}

function readPhoto(photo, index) {
  return {
    ...photo,
    index,
    name: photo.name ?? `photo ${index + 1}`,
    top: list(photo.top),
    attributions: list(photo.attributions),
  };
}

function bytes(base64) {
  const text = atob(base64 ?? '');
  const result = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) result[i] = text.charCodeAt(i);
  return result;
}

/// The embedding's points as Float32Array x0, y0, x1, y1… and its labels as Uint16Array.
export function readEmbedding(embedding) {
  const points = new Float32Array(bytes(embedding.points).buffer);
  const count = points.length >> 1;
  let labels = new Uint16Array(bytes(embedding.labels).buffer);
  if (labels.length !== count) labels = new Uint16Array(count);
  const names = list(embedding.class_names).map(String);
  let classes = names.length;
  for (const label of labels) classes = Math.max(classes, label + 1);
  for (let i = names.length; i < classes; ++i) names.push(`class ${i}`);
  const sheets = list(embedding.thumbnails?.sheets);
  const thumbnails = sheets.length ? { ...embedding.thumbnails, sheets } : null;
  return { ...embedding, points, labels, names, thumbnails, count };
}

export function readReport(text) {
  let json = {};
  try {
    json = JSON.parse(text);
  } catch {
    // The template itself, without a report in it.
  }
  const training = json.training ?? {};
  return {
    title: json.title || json.model?.name || 'Striate',
    model: json.model ?? null,
    nodes: readNodes(json.nodes),
    photos: list(json.photos).map(readPhoto),
    classes: list(json.classes),
    embedding: json.embedding?.points ? json.embedding : null,
    training: { epochs: list(training.epochs), snapshots: list(training.snapshots) },
  };
}
