import { useMemo, useRef, useState } from 'preact/hooks';
import { useDark } from '../media.js';
import { classColors, rgb } from '../palette.js';
import { readEmbedding } from '../report.js';
import { number, whole } from '../text.js';
import { Detail } from './detail.jsx';
import { Legend } from './legend.jsx';
import { Plot } from './plot.jsx';
import { createSheets } from './sheets.js';

const looks = {
  Framed: { frame: 1, mixing: 0, images: true },
  Tinted: { frame: 0, mixing: 0.85, images: true },
  Plain: { frame: 0, mixing: 0, images: true },
  Points: { frame: 0, mixing: 0, images: false },
};

function countLabels({ labels, names }) {
  const counts = new Array(names.length).fill(0);
  for (const label of labels) counts[label] += 1;
  return counts;
}

function Looks({ look, onLook }) {
  return (
    <fieldset class="segments">
      <legend>Images</legend>
      {Object.keys(looks).map((name) => (
        <label key={name}>
          <input type="radio" name="look" checked={name === look} onChange={() => onLook(name)} />
          <span>{name}</span>
        </label>
      ))}
    </fieldset>
  );
}

/// The images of the data, placed by what the network sees in them: alike means near.
export function Embedding({ report }) {
  const embedding = useMemo(() => readEmbedding(report.embedding), [report]);
  const sheets = useMemo(() => embedding.thumbnails && createSheets(embedding.thumbnails), [embedding]);
  const counts = useMemo(() => countLabels(embedding), [embedding]);
  const dark = useDark();
  const colors = useMemo(() => classColors(embedding.names.length, dark), [embedding, dark]);
  const [hidden, setHidden] = useState(new Set());
  const [pointed, setPointed] = useState(null);
  const [look, setLook] = useState('Framed');
  const [picked, setPicked] = useState(-1);
  const controls = useRef(null);

  const classes = useMemo(
    () =>
      colors.map((color, label) => {
        const faint = pointed !== null && pointed !== label;
        return { color: rgb(color), opacity: hidden.has(label) ? 0 : faint ? 0.12 : 1 };
      }),
    [colors, hidden, pointed],
  );
  const about = [
    embedding.method,
    embedding.node && `of ${embedding.node}`,
    `${whole(embedding.count)} images`,
    Number.isFinite(embedding.kl) && `KL divergence ${number(embedding.kl)}`,
  ].filter(Boolean);

  return (
    <div class="embedding">
      <div class="embedding-main">
        <div class="toolbar">
          <p class="soft">{about.join(' \u00b7 ')}</p>
          {sheets && <Looks look={look} onLook={setLook} />}
          <div class="buttons">
            <button class="zoom" aria-label="Zoom out" onClick={() => controls.current?.zoomBy(1 / 1.4)}>{'\u2212'}</button>
            <button class="zoom" aria-label="Zoom in" onClick={() => controls.current?.zoomBy(1.4)}>+</button>
            <button onClick={() => controls.current?.fit()}>Fit</button>
          </div>
        </div>
        <Plot
          embedding={embedding}
          sheets={sheets}
          classes={classes}
          look={looks[look]}
          controls={controls}
          onPick={setPicked}
        />
      </div>
      <aside class="embedding-side" aria-label="Picked image and classes">
        <Detail embedding={embedding} sheets={sheets} picked={picked} colors={colors} />
        <Legend
          names={embedding.names}
          counts={counts}
          colors={colors}
          hidden={hidden}
          onHidden={setHidden}
          onPoint={setPointed}
        />
      </aside>
    </div>
  );
}
