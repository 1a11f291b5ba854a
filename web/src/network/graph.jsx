import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { splitName } from '../text.js';
import { Card } from './card.jsx';
import { cardHeight, cardWidth } from './layout.js';
import { Minimap } from './minimap.jsx';
import { createViewport } from './viewport.js';

const half = { x: cardWidth / 2, y: cardHeight / 2 };

// A box's own name; a mere number with what it is a number of.
function boxTitle(key) {
  const own = splitName(key)[1];
  return /^\d+$/.test(own) ? key.split('.').slice(-2).join('.') : own;
}

// The place that lies best in an arrow's direction: near, and little to the side.
function nextPlace(places, from, direction) {
  let best = null;
  let bestCost = Infinity;
  for (const place of places) {
    const along = (place.x - from.x) * direction.x + (place.y - from.y) * direction.y;
    if (along < 4) continue;
    const across = Math.abs((place.x - from.x) * direction.y) + Math.abs((place.y - from.y) * direction.x);
    const cost = along + 2 * across;
    if (cost < bestCost) [best, bestCost] = [place, cost];
  }
  return best;
}

const arrows = {
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
};

/// The laid-out graph. Controls come to `controls.current`: fit, zoomBy.
export function Graph({ layout, chosen, photo, shown, controls, onOpen, onFold }) {
  const frame = useRef(null);
  const world = useRef(null);
  const viewport = useRef(null);
  const anchor = useRef(null);
  const [current, setCurrent] = useState(layout.places[0]?.card.key);

  const focusCard = (key) =>
    frame.current.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });

  useLayoutEffect(() => {
    viewport.current = createViewport(frame.current, world.current);
    controls.current = viewport.current;
    return () => viewport.current.destroy();
  }, []);

  const keys = useMemo(() => new Map(layout.places.map((p) => [p.card.key, p])), [layout]);
  useLayoutEffect(() => {
    viewport.current.setSize(layout.width, layout.height);
    const held = anchor.current;
    const place = held?.find(layout);
    anchor.current = null;
    if (!place) {
      viewport.current.fit();
      return;
    }
    viewport.current.hold(held, place);
    setCurrent(place.card.key);
    focusCard(place.card.key);
  }, [layout]);

  // The panel may cover what was chosen.
  useEffect(() => {
    const place = keys.get(`node ${chosen}`);
    if (place) viewport.current.reveal(place, half);
  }, [chosen, layout]);

  useEffect(() => {
    if (!shown) return undefined;
    const observer = new ResizeObserver(() => viewport.current.resized());
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [shown, layout]);

  const focusOn = (place) => {
    setCurrent(place.card.key);
    viewport.current.reveal(place, half);
    focusCard(place.card.key);
  };

  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = arrows[event.key];
    if (direction && event.shiftKey) viewport.current.panBy(-80 * direction.x, -80 * direction.y);
    else if (direction) {
      const from = keys.get(current) ?? layout.places[0];
      const next = nextPlace(layout.places, from, direction);
      if (next) focusOn(next);
    } else if (event.key === '+' || event.key === '=') viewport.current.zoomBy(1.25);
    else if (event.key === '-') viewport.current.zoomBy(0.8);
    else if (event.key === '0') viewport.current.fit({ whole: true });
    else if (event.key === 'Backspace') foldAround(current);
    else if (event.key === 'Home') focusOn(layout.places[0]);
    else if (event.key === 'End') focusOn(layout.places[layout.places.length - 1]);
    else return;
    event.preventDefault();
  };

  const foldAround = (key) => {
    const innermost = keys.get(key)?.card.boxes.at(-1);
    if (innermost) fold(layout.boxes.find((box) => box.key === innermost));
  };

  const onFocus = useCallback((key) => setCurrent(key), []);
  const latest = useRef(null);
  latest.current = (card) => {
    if (card.group) {
      // Its first layer comes where the block was.
      const place = keys.get(card.key);
      const first = card.members[0].index;
      anchor.current = {
        ...place,
        find: (next) => next.places.find((p) => p.card.members.some((n) => n.index === first)),
      };
    }
    onOpen(card);
  };
  const open = useCallback((card) => latest.current(card), []);
  const fold = (box) => {
    anchor.current = {
      x: (box.x0 + box.x1) / 2,
      y: box.y0 + 40,
      find: (next) => next.places.find((p) => p.card.group === box.key),
    };
    onFold(box.key);
  };

  const tabbable = keys.has(current) ? current : layout.places[0]?.card.key;
  return (
    <div
      class="graph"
      ref={frame}
      role="group"
      aria-label="The network as a graph. Arrow keys go from layer to layer, Enter opens one, Backspace closes the block around it."
      onKeyDown={onKeyDown}
    >
      <div class="world" ref={world}>
        {layout.boxes.map((box) => (
          <div
            key={box.key}
            class="box"
            style={{
              transform: `translate(${box.x0}px, ${box.y0}px)`,
              width: `${box.x1 - box.x0}px`,
              height: `${box.y1 - box.y0}px`,
            }}
          >
            <button tabIndex={-1} aria-label={`Close block ${box.key}`} title={`Close ${box.key}`} onClick={() => fold(box)}>
              {boxTitle(box.key)} <span aria-hidden="true">{'\u2212'}</span>
            </button>
          </div>
        ))}
        <svg width={layout.width} height={layout.height} aria-hidden="true">
          {layout.paths.map(({ key, from, to, d }) => (
            <path key={key} d={d} class={from === tabbable || to === tabbable ? 'near' : undefined} />
          ))}
        </svg>
        {layout.places.map(({ card, x, y }) => (
          <Card
            key={card.key}
            card={card}
            x={x}
            y={y}
            photo={photo}
            current={card.key === tabbable}
            chosen={chosen !== null && !card.group && card.members[0].index === chosen}
            onFocus={onFocus}
            onOpen={open}
          />
        ))}
      </div>
      <Minimap
        layout={layout}
        watch={(listener) => viewport.current.watch(listener)}
        onMove={(place) => viewport.current.centerOn(place)}
      />
    </div>
  );
}
