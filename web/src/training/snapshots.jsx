import { useEffect, useState } from 'preact/hooks';
import { Figure } from '../picture.jsx';

const pause = 700;  // milliseconds from one snapshot to the next

function namesOf(snapshots) {
  return [...new Set(snapshots.flatMap(({ pictures }) => (pictures ?? []).map(({ name }) => name)))];
}

/// Pictures that were taken during the training, with a slider over the epochs.
export function Snapshots({ snapshots, onEnlarge }) {
  const [at, setAt] = useState(snapshots.length - 1);
  const [playing, setPlaying] = useState(false);
  const last = snapshots.length - 1;
  useEffect(() => {
    if (!playing) return undefined;
    const timer = setInterval(() => setAt((now) => Math.min(last, now + 1)), pause);
    return () => clearInterval(timer);
  }, [playing]);
  useEffect(() => {
    if (at === last) setPlaying(false);
  }, [at]);
  const play = () => {
    if (at === last) setAt(0);
    setPlaying(!playing);
  };
  const { epoch, pictures = [] } = snapshots[at];
  const open = (name) => {
    const all = snapshots.flatMap((one) =>
      (one.pictures ?? []).filter((p) => p.name === name).map((p) => ({
        picture: p.picture,
        title: name,
        text: `Epoch ${one.epoch}`,
      })),
    );
    onEnlarge({ pictures: all, at: Math.max(0, all.findIndex((p) => p.text === `Epoch ${epoch}`)) });
  };
  return (
    <section>
      <div class="section-head">
        <h2>As it learned</h2>
        <div class="player">
          {snapshots.length > 1 && (
            <>
              <button onClick={play} aria-pressed={playing}>{playing ? 'Pause' : 'Play'}</button>
              <input
                type="range"
                min="0"
                max={last}
                value={at}
                aria-label="Snapshot"
                aria-valuetext={`epoch ${epoch}`}
                onInput={(event) => {
                  setPlaying(false);
                  setAt(Number(event.target.value));
                }}
              />
            </>
          )}
          <output>Epoch {epoch}</output>
        </div>
      </div>
      <div class="snapshots">
        {namesOf(snapshots).map((name) => {
          const found = pictures.find((one) => one.name === name);
          return found && <Figure key={name} picture={found.picture} title={name} onOpen={() => open(name)} />;
        })}
      </div>
    </section>
  );
}
