import { useEffect, useRef } from 'preact/hooks';
import { familyOf } from './families.js';
import { cardHeight, cardWidth } from './layout.js';

const widest = 110;
const narrowest = 36;
const tallest = 360;

/// The whole graph, small, with what the reader sees of it; a drag moves that.
/// @param watch  watch(listener) calls back with { x, y, width, height } in the graph's units.
export function Minimap({ layout, watch, onMove }) {
  const { width, height, places } = layout;
  // A graph that is much taller than wide is drawn wider than it is.
  const scaleY = Math.min(widest / width, tallest / height);
  const scaleX = Math.max(scaleY, narrowest / width);
  const host = useRef(null);
  const view = useRef(null);
  useEffect(
    () =>
      watch((seen) => {
        const covers = seen.width >= width && seen.height >= height;
        host.current.hidden = covers;
        const left = Math.max(0, seen.x);
        const top = Math.max(0, seen.y);
        view.current.setAttribute('x', left * scaleX);
        view.current.setAttribute('y', top * scaleY);
        view.current.setAttribute('width', Math.max(4, (Math.min(width, seen.x + seen.width) - left) * scaleX));
        view.current.setAttribute('height', Math.max(4, (Math.min(height, seen.y + seen.height) - top) * scaleY));
      }),
    [layout],
  );
  const move = (event) => {
    if (event.buttons !== 1) return;
    event.stopPropagation();
    const { left, top } = host.current.firstChild.getBoundingClientRect();
    onMove({ x: (event.clientX - left) / scaleX, y: (event.clientY - top) / scaleY });
  };
  const down = (event) => {
    host.current.setPointerCapture(event.pointerId);
    move(event);
  };
  return (
    <div class="minimap" ref={host} hidden aria-hidden="true" onPointerDown={down} onPointerMove={move}>
      <svg width={width * scaleX} height={height * scaleY}>
        {places.map(({ card, x, y }) => (
          <rect
            key={card.key}
            class={`place ${card.group ? 'group' : familyOf(card.members[0].type)}`}
            x={(x - cardWidth / 2) * scaleX}
            y={(y - cardHeight / 2) * scaleY}
            width={cardWidth * scaleX}
            height={Math.max(1, cardHeight * scaleY)}
          />
        ))}
        <rect class="window" ref={view} rx="2" />
      </svg>
    </div>
  );
}
