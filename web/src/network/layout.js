import * as dagre from '@dagrejs/dagre';
import { curveBasis, line } from 'd3-shape';

export const cardWidth = 248;
export const cardHeight = 52;
const boxPadding = 12;
const boxTitle = 20;
const rankGap = 30;

function edgesOf(cards) {
  const cardOf = new Map();
  for (const card of cards) for (const node of card.members) cardOf.set(node.index, card);
  const edges = new Map();
  for (const card of cards) {
    for (const node of card.members) {
      for (const input of node.inputs) {
        const from = cardOf.get(input);
        if (from && from !== card) edges.set(`${from.key} > ${card.key}`, { from, to: card });
      }
    }
  }
  return [...edges.values()];
}

// How many boxes an edge leaves or enters: each needs room for its border.
function bordersCrossed(from, to) {
  let common = 0;
  while (common < from.boxes.length && from.boxes[common] === to.boxes[common]) ++common;
  return Math.max(from.boxes.length, to.boxes.length) - common;
}

const smooth = line((p) => p.x, (p) => p.y).curve(curveBasis);

function boxesAround(cards, place) {
  const boxes = new Map();
  for (const card of cards) {
    const { x, y } = place.get(card.key);
    card.boxes.forEach((key, depth) => {
      const inside = card.boxes.length - depth;
      const side = boxPadding * inside;
      const top = (boxPadding + boxTitle - 8) * inside;
      const box = boxes.get(key) ?? { key, depth, x0: 1e9, y0: 1e9, x1: -1e9, y1: -1e9 };
      box.x0 = Math.min(box.x0, x - cardWidth / 2 - side);
      box.x1 = Math.max(box.x1, x + cardWidth / 2 + side);
      box.y0 = Math.min(box.y0, y - cardHeight / 2 - top);
      box.y1 = Math.max(box.y1, y + cardHeight / 2 + side);
      boxes.set(key, box);
    });
  }
  return [...boxes.values()].sort((a, b) => a.depth - b.depth);
}

/// Places the cards from top to bottom.
/// @return { width, height, places: [{ card, x, y }], paths: [{ key, from, to, d }], boxes }
export function layOut(cards) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', ranksep: rankGap, nodesep: 36, edgesep: 16, marginx: 24, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const card of cards) graph.setNode(card.key, { width: cardWidth, height: cardHeight });
  const edges = edgesOf(cards);
  for (const { from, to } of edges) {
    graph.setEdge(from.key, to.key, { minlen: 1 + Math.min(2, bordersCrossed(from, to)) });
  }
  dagre.layout(graph);

  const place = new Map(cards.map((card) => [card.key, graph.node(card.key)]));
  const paths = edges.map(({ from, to }) => ({
    key: `${from.key} > ${to.key}`,
    from: from.key,
    to: to.key,
    d: smooth(graph.edge(from.key, to.key).points),
  }));
  const { width = 0, height = 0 } = graph.graph();
  return {
    width,
    height,
    places: cards.map((card) => ({ card, ...place.get(card.key) })),
    paths,
    boxes: boxesAround(cards, place),
  };
}
