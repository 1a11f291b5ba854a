import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Picture } from './picture.jsx';

/// One picture of a list over the whole page; arrow keys go through the list.
/// @param pictures  [{ picture, title, text, under }], `under` a picture to lay beneath.
export function Enlarged({ pictures, start, onClose }) {
  const dialog = useRef(null);
  const [at, setAt] = useState(start);
  useLayoutEffect(() => dialog.current.showModal(), []);
  const go = (step) => setAt((now) => (now + step + pictures.length) % pictures.length);
  const onKeyDown = (event) => {
    if (event.key === 'ArrowRight') go(1);
    if (event.key === 'ArrowLeft') go(-1);
  };
  const { picture, title, text, under, opacity } = pictures[at];
  return (
    <dialog
      class="enlarged"
      ref={dialog}
      aria-label={title}
      onClose={onClose}
      onKeyDown={onKeyDown}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <figure>
        <Picture picture={picture} under={under} opacity={opacity} name={title} />
        <figcaption>
          <strong>{title}</strong>
          {text && <span>{text}</span>}
        </figcaption>
      </figure>
      <div class="enlarged-buttons">
        {pictures.length > 1 && (
          <>
            <button onClick={() => go(-1)}>Previous</button>
            <span class="soft" aria-live="polite">
              {at + 1} of {pictures.length}
            </span>
            <button onClick={() => go(1)}>Next</button>
          </>
        )}
        <button onClick={() => dialog.current.close()}>Close</button>
      </div>
    </dialog>
  );
}
