import { useEffect, useRef } from 'preact/hooks';
import { familyOf } from './families.js';
import { cardHeight, cardWidth } from './layout.js';

const widest = 110;
const tallest = 360;

/// The whole graph, small, with what the reader sees of it; a drag moves that.
/// @param watch  watch(listener) calls back with { x, y, width, height } in the graph's units.
export function Minimap({ layout, watch, onMove }) {
  const { width, height, places } = layout;
  const scale = Math.min(widest / width, tallest / height);
  const host = useRef(null);
  const view = useRef(null);
  useEffect(
    () =>
      watch((seen) => {
        const covers = seen.width >= width && seen.height >= height;
        host.current.hidden = covers;
        const left = Math.max(0, seen.x);
        const top = Math.max(0, seen.y);
        view.current.setAttribute('x', left * scale);
        view.current.setAttribute('y', top * scale);
        view.current.setAttribute('width', Math.max(4, (Math.min(width, seen.x + seen.width) - left) * scale));
        view.current.setAttribute('height', Math.max(4, (Math.min(height, seen.y + seen.height) - top) * scale));
      }),
    [layout],
  );
  const move = (event) => {
    if (event.buttons !== 1) return;
    event.stopPropagation();
    const { left, top } = host.current.firstChild.getBoundingClientRect();
    onMove({ x: (event.clientX - left) / scale, y: (event.clientY - top) / scale });
  };
  const down = (event) => {
    host.current.setPointerCapture(event.pointerId);
    move(event);
  };
  return (
    <div class="minimap" ref={host} hidden aria-hidden="true" onPointerDown={down} onPointerMove={move}>
      <svg width={width * scale} height={height * scale}>
        {places.map(({ card, x, y }) => (
          <rect
            key={card.key}
            class={`place ${card.group ? 'group' : familyOf(card.members[0].type)}`}
            x={(x - cardWidth / 2) * scale}
            y={(y - cardHeight / 2) * scale}
            width={cardWidth * scale}
            height={Math.max(1, cardHeight * scale)}
          />
        ))}
        <rect class="window" ref={view} rx="2" />
      </svg>
    </div>
  );
}
