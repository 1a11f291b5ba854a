/// Small pictures of the photos, of which one is chosen.
export function PhotoChooser({ photos, photo, onPhoto, label }) {
  return (
    <fieldset class="chooser">
      <legend>{label}</legend>
      {photos.map(({ index, name, picture }) => (
        <label key={index} title={name}>
          <input
            type="radio"
            name={`photo-${label}`}
            checked={index === photo}
            onChange={() => onPhoto(index)}
            aria-label={name}
          />
          <img src={picture} alt="" decoding="async" />
        </label>
      ))}
    </fieldset>
  );
}
