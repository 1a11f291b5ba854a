import { useEffect, useRef } from 'preact/hooks';
import { whole } from '../text.js';

/// The picked image, large, with its class.
export function Detail({ embedding, sheets, picked, colors }) {
  const canvas = useRef(null);
  useEffect(() => {
    if (!sheets) return;
    if (picked >= 0) sheets.drawTo(canvas.current, picked);
    else canvas.current.getContext('2d').clearRect(0, 0, sheets.width, sheets.height);
  }, [picked, sheets]);
  const label = picked >= 0 ? embedding.labels[picked] : null;
  return (
    <div class={picked >= 0 ? 'detail' : 'detail nothing'} aria-live="polite">
      {sheets && (
        <canvas
          ref={canvas}
          class={sheets.width < 160 ? 'pixelated' : undefined}
          style={{ borderColor: label === null ? undefined : colors[label] }}
          width={sheets.width}
          height={sheets.height}
          aria-hidden="true"
        />
      )}
      {label === null ? (
        <p class="soft">Point at an image, or go through them with the arrow keys.</p>
      ) : (
        <p>
          <strong>
            <i class="chip" style={{ background: colors[label] }} />
            {embedding.names[label]}
          </strong>
          <span class="soft">image {whole(picked)}</span>
        </p>
      )}
    </div>
  );
}
