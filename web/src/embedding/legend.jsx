import { whole } from '../text.js';

/// The classes with their colours; each can be hidden, and stands out while it is pointed at.
export function Legend({ names, counts, colors, hidden, onHidden, onPoint }) {
  const toggle = (label) => {
    const next = new Set(hidden);
    if (!next.delete(label)) next.add(label);
    onHidden(next);
  };
  return (
    <div class="legend">
      <div class="legend-head">
        <h3>Classes</h3>
        <span class="buttons">
          <button class="link" onClick={() => onHidden(new Set())}>All</button>
          <button class="link" onClick={() => onHidden(new Set(names.keys()))}>None</button>
        </span>
      </div>
      <ul>
        {names.map((name, label) => (
          <li key={label}>
            <button
              aria-pressed={!hidden.has(label)}
              onClick={() => toggle(label)}
              onPointerEnter={(event) => event.pointerType === 'mouse' && onPoint(label)}
              onPointerLeave={() => onPoint(null)}
              onFocus={(event) => event.target.matches(':focus-visible') && onPoint(label)}
              onBlur={() => onPoint(null)}
            >
              <i style={{ background: colors[label] }} />
              <span class="legend-name">{name}</span>
              <span class="soft">{whole(counts[label])}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
