// Nodes by the dots in their names: "layer1.0.conv1" is in the groups "layer1" and "layer1.0". A
// group of one is none.

/// The number of cards that a graph opens with, at most.
const firstView = 48;

function newGroup(key, parent) {
  return { key, parent, groups: new Map(), nodes: [], count: 0 };
}

function insert(root, node) {
  const parts = node.name.split('.');
  let group = root;
  root.count += 1;
  for (let i = 0; i + 1 < parts.length; ++i) {
    const key = parts.slice(0, i + 1).join('.');
    if (!group.groups.has(key)) group.groups.set(key, newGroup(key, group));
    group = group.groups.get(key);
    group.count += 1;
  }
  group.nodes.push(node.index);
}

// Gives every node the list of the groups that hold it, outermost first.
function listGroups(group, chain, chains, all) {
  for (const index of group.nodes) chains[index] = chain;
  for (const child of group.groups.values()) {
    const same = child.count === 1 || child.count === group.count;
    if (!same) all.push({ key: child.key, depth: chain.length, count: child.count });
    listGroups(child, same ? chain : [...chain, child.key], chains, all);
  }
}

/// @return { chains: for each node its groups' keys, groups: [{ key, depth, count }] }
export function groupNodes(nodes) {
  const root = newGroup('', null);
  for (const node of nodes) insert(root, node);
  const chains = [];
  const groups = [];
  listGroups(root, [], chains, groups);
  return { chains, groups };
}

function cardCount(chains, open) {
  const cards = new Set();
  chains.forEach((chain, index) => cards.add(chain.find((key) => !open.has(key)) ?? index));
  return cards.size;
}

/// The groups that are open at first: whole levels, as long as the graph can be taken in.
export function firstOpen({ chains, groups }) {
  let open = new Set();
  const deepest = Math.max(-1, ...groups.map((group) => group.depth));
  for (let depth = 0; depth <= deepest; ++depth) {
    const next = new Set(groups.filter((group) => group.depth <= depth).map(({ key }) => key));
    if (cardCount(chains, next) > firstView) break;
    open = next;
  }
  return open;
}

/// The cards that are drawn: nodes, and one for each closed group, in the order of the nodes.
export function cardsOf(nodes, { chains }, open) {
  const cards = new Map();
  nodes.forEach((node, index) => {
    const chain = chains[index];
    const at = chain.findIndex((key) => !open.has(key));
    const key = at < 0 ? `node ${index}` : `group ${chain[at]}`;
    if (!cards.has(key)) {
      cards.set(key, {
        key,
        group: at < 0 ? null : chain[at],
        boxes: at < 0 ? chain : chain.slice(0, at),
        members: [],
      });
    }
    cards.get(key).members.push(node);
  });
  return [...cards.values()];
}
