import { useMemo, useRef, useState } from 'preact/hooks';
import { PhotoChooser } from '../photos/chooser.jsx';
import { familyNames } from './families.js';
import { Graph } from './graph.jsx';
import { cardsOf, firstOpen, groupNodes } from './groups.js';
import { layOut } from './layout.js';
import { Panel } from './panel.jsx';

// A wide page opens with something to see: the first kernels.
function firstChosen(nodes) {
  if (!matchMedia('(min-width: 901px)').matches) return null;
  return nodes.find((node) => node.kernels)?.index ?? null;
}

/// The network as a graph of layers and blocks, and a panel with what is inside the chosen layer.
export function Network({ report, photo, onPhoto, onEnlarge, shown }) {
  const { nodes } = report;
  const grouping = useMemo(() => groupNodes(nodes), [nodes]);
  const [open, setOpen] = useState(() => firstOpen(grouping));
  const [chosen, setChosen] = useState(() => firstChosen(nodes));
  const controls = useRef(null);
  const layout = useMemo(() => layOut(cardsOf(nodes, grouping, open)), [nodes, grouping, open]);

  const onOpen = (card) => {
    if (card.group) setOpen((keys) => new Set(keys).add(card.group));
    else setChosen(card.members[0].index);
  };
  const onFold = (key) => setOpen((keys) => new Set([...keys].filter((k) => k !== key)));
  // A layer that the panel links to may be in closed blocks.
  const onGo = (index) => {
    setOpen((keys) => {
      const needed = grouping.chains[index].filter((key) => !keys.has(key));
      return needed.length ? new Set([...keys, ...needed]) : keys;
    });
    setChosen(index);
  };
  const closePanel = () => {
    const index = chosen;
    setChosen(null);
    document.querySelector(`[data-key="node ${index}"]`)?.focus({ preventScroll: true });
  };
  const hasActivations = nodes.some((node) => node.activations.length > 0);

  return (
    <div
      class={chosen === null ? 'network' : 'network with-panel'}
      onKeyDown={(event) => event.key === 'Escape' && chosen !== null && closePanel()}
    >
      <div class="network-main">
        <div class="toolbar">
          {hasActivations && report.photos.length > 0 && (
            <PhotoChooser photos={report.photos} photo={photo} onPhoto={onPhoto} label="Activations of" />
          )}
          <div class="buttons">
            {grouping.groups.length > 0 && (
              <>
                <button onClick={() => setOpen(new Set(grouping.groups.map(({ key }) => key)))}>
                  Open all
                </button>
                <button onClick={() => setOpen(new Set())}>Close all</button>
              </>
            )}
            <button class="zoom" aria-label="Zoom out" onClick={() => controls.current.zoomBy(0.8)}>{'\u2212'}</button>
            <button class="zoom" aria-label="Zoom in" onClick={() => controls.current.zoomBy(1.25)}>+</button>
            <button onClick={() => controls.current.fit({ whole: true })}>Fit</button>
          </div>
        </div>
        <Graph
          layout={layout}
          chosen={chosen}
          photo={photo}
          shown={shown}
          controls={controls}
          onOpen={onOpen}
          onFold={onFold}
        />
        <ul class="families" aria-label="Colours">
          {familyNames.map((name) => (
            <li key={name} class={name}>{name}</li>
          ))}
        </ul>
      </div>
      {chosen !== null && (
        <Panel
          key={chosen}
          node={nodes[chosen]}
          report={report}
          photo={photo}
          onPhoto={onPhoto}
          onEnlarge={onEnlarge}
          onGo={onGo}
          onClose={closePanel}
        />
      )}
    </div>
  );
}
