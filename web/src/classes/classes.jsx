import { useState } from 'preact/hooks';
import { Figure } from '../picture.jsx';
import { percent } from '../text.js';

// With more, a field to search in them is worth its room.
const manyClasses = 24;

/// What the network takes for each class: pictures that were optimised for it.
export function Classes({ report, onEnlarge }) {
  const [query, setQuery] = useState('');
  const { classes } = report;
  const wanted = query.trim().toLowerCase();
  const found = classes.filter((one) => String(one.class).toLowerCase().includes(wanted));
  const pictures = found.map((one) => ({
    picture: one.picture,
    title: String(one.class ?? one.index),
    text: Number.isFinite(one.probability) ? percent(one.probability) : '',
  }));
  return (
    <div class="classes page-width">
      <div class="section-head">
        <div>
          <h2>What each class looks like to the network</h2>
          <p class="soft">
            Pictures that were changed step by step until the network was sure of the class; the
            number is the probability that it gives.
          </p>
        </div>
        {classes.length > manyClasses && (
          <input
            type="search"
            placeholder="Find a class"
            aria-label="Find a class"
            value={query}
            onInput={(event) => setQuery(event.target.value)}
          />
        )}
      </div>
      {found.length === 0 && <p class="empty">No class is called so.</p>}
      <div class="gallery">
        {pictures.map((one, at) => (
          <Figure
            key={found[at].index ?? at}
            {...one}
            onOpen={() => onEnlarge({ pictures, at })}
          />
        ))}
      </div>
    </div>
  );
}
