import { memo } from 'preact/compat';
import { shapeText, short, splitName } from '../text.js';
import { familyOf } from './families.js';
import { cardHeight, cardWidth } from './layout.js';

function thumbnailOf(node, photo) {
  const activation = node.activations.find((one) => one.photo === photo);
  return activation?.picture ?? node.kernels ?? null;
}

function lastThumbnail(members, photo) {
  for (let i = members.length - 1; i >= 0; --i) {
    const picture = thumbnailOf(members[i], photo);
    if (picture) return picture;
  }
  return null;
}

function textsOf(card) {
  const last = card.members[card.members.length - 1];
  if (!card.group) return { name: card.members[0].name, line: last.type, shape: last.shape };
  return { name: card.group, line: `${card.members.length} layers`, shape: last.shape };
}

// The box around a card tells the first part of its name already; a mere number says too little.
function nameInBox(name, boxes) {
  const box = boxes[boxes.length - 1];
  if (!box || !name.startsWith(`${box}.`)) return name;
  const rest = name.slice(box.length + 1);
  return /^\d+$/.test(rest) ? name.split('.').slice(-2).join('.') : rest;
}

/// A node or a closed group. `current` is the one that the Tab key reaches.
export const Card = memo(function Card({ card, x, y, photo, current, chosen, onFocus, onOpen }) {
  const { name, line, shape } = textsOf(card);
  const [path, own] = splitName(nameInBox(name, card.boxes));
  const picture = lastThumbnail(card.members, photo);
  const parameters = card.members.reduce((sum, node) => sum + (node.parameters || 0), 0);
  const family = card.group ? 'group' : familyOf(card.members[0].type);
  const told = `${name}, ${line}, ${shapeText(shape)}${card.group ? ', closed block' : ''}`;
  return (
    <button
      class={`card ${family}`}
      style={{
        transform: `translate(${x - cardWidth / 2}px, ${y - cardHeight / 2}px)`,
        width: `${cardWidth}px`,
        height: `${cardHeight}px`,
      }}
      data-key={card.key}
      tabIndex={current ? 0 : -1}
      aria-label={told}
      aria-expanded={card.group ? false : undefined}
      aria-pressed={card.group ? undefined : chosen}
      title={parameters ? `${name}\n${short(parameters)} parameters` : name}
      onFocus={() => onFocus(card.key)}
      onClick={() => onOpen(card)}
    >
      {picture && (
        <span class="card-picture">
          <img src={picture} alt="" loading="lazy" decoding="async" />
        </span>
      )}
      <span class="card-text">
        <span class="card-name">
          <span class="soft">{path}</span>
          {own}
        </span>
        <span class="card-line">
          {line}
          {shape.length > 0 && <> {'\u00b7'} {shape.join('\u00d7')}</>}
        </span>
      </span>
      {card.group && <span class="plus" aria-hidden="true">+</span>}
    </button>
  );
});
