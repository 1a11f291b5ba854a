import { Figure } from '../picture.jsx';
import { shapeText, short, whole } from '../text.js';
import { Statistics } from './statistics.jsx';

function Links({ title, indices, nodes, onGo }) {
  if (indices.length === 0) return null;
  return (
    <div>
      <dt>{title}</dt>
      <dd class="links">
        {indices.map((index) => (
          <button key={index} class="link" onClick={() => onGo(index)}>
            {nodes[index]?.name}
          </button>
        ))}
      </dd>
    </div>
  );
}

function Facts({ node, nodes, onGo }) {
  return (
    <dl class="panel-facts">
      {node.shape.length > 0 && (
        <div>
          <dt>Output</dt>
          <dd>{shapeText(node.shape)}</dd>
        </div>
      )}
      {node.parameters > 0 && (
        <div>
          <dt>Parameters</dt>
          <dd>{whole(node.parameters)}</dd>
        </div>
      )}
      {node.multiply_adds > 0 && (
        <div>
          <dt>Multiply-adds</dt>
          <dd>{short(node.multiply_adds)}</dd>
        </div>
      )}
      <Links title="From" indices={node.inputs} nodes={nodes} onGo={onGo} />
      <Links title="To" indices={node.outputs} nodes={nodes} onGo={onGo} />
    </dl>
  );
}

function picturesOf(node, photos) {
  const pictures = [];
  if (node.kernels) pictures.push({ kind: 'kernels', picture: node.kernels, title: 'Kernels', text: node.name });
  for (const { photo, picture } of node.activations) {
    const name = photos[photo]?.name ?? `photo ${photo + 1}`;
    pictures.push({ kind: 'activations', photo, picture, title: name, text: `Activations of ${node.name}` });
  }
  return pictures;
}

/// What is inside one layer.
export function Panel({ node, report, photo, onEnlarge, onGo, onClose }) {
  const pictures = picturesOf(node, report.photos);
  const figure = (one) => (
    <Figure
      key={one.title}
      picture={one.picture}
      title={one.title}
      onOpen={() => onEnlarge({ pictures, at: pictures.indexOf(one) })}
    />
  );
  const kernels = pictures.filter(({ kind }) => kind === 'kernels');
  const isChosen = (one) => one.photo === photo;
  const activations = pictures.filter(({ kind }) => kind === 'activations');
  return (
    <aside class="panel" aria-label={`Layer ${node.name}`}>
      <div class="panel-head">
        <div>
          <h2>{node.name}</h2>
          <p class="soft">{node.description || node.type}</p>
        </div>
        <button class="plain" aria-label="Close the panel" onClick={onClose}>
          <span aria-hidden="true">{'\u2715'}</span>
        </button>
      </div>
      <Facts node={node} nodes={report.nodes} onGo={onGo} />
      {kernels.length > 0 && (
        <section>
          <h3>Kernels</h3>
          <div class="panel-kernels bare">{kernels.map(figure)}</div>
        </section>
      )}
      {activations.length > 0 && (
        <section>
          <h3>Activations</h3>
          <div class="panel-kernels">{activations.filter(isChosen).map(figure)}</div>
          <div class="panel-pictures">{activations.filter((one) => !isChosen(one)).map(figure)}</div>
        </section>
      )}
      {node.statistics.length > 0 && <Statistics statistics={node.statistics} />}
    </aside>
  );
}
