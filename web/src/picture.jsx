import { useState } from 'preact/hooks';

// Smaller than this in either direction, a picture is drawn with its pixels visible.
const smallest = 160;

/// A picture, drawn with its pixels visible when it is small; over the picture `under`, if any.
export function Picture({ picture, under, opacity = 1, name }) {
  const [size, setSize] = useState(null);
  const small = size && Math.min(size.width, size.height) < smallest;
  const onLoad = (event) =>
    setSize({ width: event.target.naturalWidth, height: event.target.naturalHeight });
  return (
    <span
      class={small ? 'picture pixelated' : 'picture'}
      style={size && { aspectRatio: `${size.width} / ${size.height}` }}
    >
      {under && <img src={under} alt="" decoding="async" />}
      <img
        class={under ? 'over' : undefined}
        src={picture}
        alt={name}
        style={under ? { opacity } : undefined}
        decoding="async"
        onLoad={onLoad}
      />
    </span>
  );
}

/// A picture that opens enlarged, with a caption.
export function Figure({ picture, title, text, under, opacity, onOpen, children }) {
  return (
    <figure class="figure">
      <button class="picture-button" aria-label={`Enlarge ${title}`} onClick={onOpen}>
        <Picture picture={picture} under={under} opacity={opacity} name="" />
      </button>
      <figcaption>
        <strong>{title}</strong>
        {text && <span>{text}</span>}
        {children}
      </figcaption>
    </figure>
  );
}
