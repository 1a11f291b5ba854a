import { useState } from 'preact/hooks';
import { Figure, Picture } from '../picture.jsx';
import { PhotoChooser } from './chooser.jsx';
import { TopClasses } from './top_classes.jsx';

/// What the network says to a photo, and where in it it finds the evidence.
export function Photos({ report, photo, onPhoto, onEnlarge }) {
  const [opacity, setOpacity] = useState(0.6);
  const { photos } = report;
  const { name, picture, top, attributions } = photos[photo];
  const pictures = attributions.map((one) => ({
    picture: one.picture,
    under: one.overlay ? picture : null,
    opacity,
    title: one.title || one.method,
    text: one.about,
  }));
  const hasOverlays = attributions.some((one) => one.overlay);
  return (
    <div class="photos page-width">
      {photos.length > 1 && (
        <PhotoChooser photos={photos} photo={photo} onPhoto={onPhoto} label="Photo" />
      )}
      <div class="photo-head">
        <figure class="figure photo-main">
          <button
            class="picture-button"
            aria-label={`Enlarge ${name}`}
            onClick={() => onEnlarge({ pictures: [{ picture, title: name }], at: 0 })}
          >
            <Picture picture={picture} name={name} />
          </button>
        </figure>
        <div class="photo-says">
          <h2>{name}</h2>
          {top.length > 0 && <TopClasses top={top} />}
        </div>
      </div>
      {attributions.length > 0 && (
        <section>
          <div class="section-head">
            <h2>Where the evidence is</h2>
            {hasOverlays && (
              <label class="slider">
                <span>Photo</span>
                <input
                  type="range"
                  min="0"
                  max="1"
                  step="0.05"
                  value={opacity}
                  aria-label="Opacity of the maps over the photo"
                  aria-valuetext={`${Math.round(100 * opacity)} %`}
                  onInput={(event) => setOpacity(Number(event.target.value))}
                />
                <span>Map</span>
              </label>
            )}
          </div>
          <div class="attributions">
            {attributions.map((one, at) => (
              <Figure
                key={`${one.method} ${one.class}`}
                {...pictures[at]}
                onOpen={() => onEnlarge({ pictures, at })}
              >
                {one.class && <span class="for-class">for {one.class}</span>}
              </Figure>
            ))}
          </div>
        </section>
      )}
    </div>
  );
}
