import { useEffect, useRef, useState } from 'preact/hooks';
import { About } from './about.jsx';
import { Classes } from './classes/classes.jsx';
import { Embedding } from './embedding/embedding.jsx';
import { Enlarged } from './enlarged.jsx';
import { Network } from './network/network.jsx';
import { Photos } from './photos/photos.jsx';
import { shapeText, short } from './text.js';
import { Training } from './training/training.jsx';

function viewsOf(report) {
  return [
    { key: 'network', name: 'Network', View: Network, here: report.nodes.length > 0 },
    { key: 'photos', name: 'Photos', View: Photos, here: report.photos.length > 0 },
    { key: 'classes', name: 'Classes', View: Classes, here: report.classes.length > 0 },
    { key: 'embedding', name: 'Embedding', View: Embedding, here: report.embedding },
    {
      key: 'training',
      name: 'Training',
      View: Training,
      here: report.training.epochs.length > 0 || report.training.snapshots.length > 0,
    },
  ].filter((view) => view.here);
}

function Tabs({ views, current, onChoose }) {
  const tabs = useRef(null);
  const onKeyDown = (event) => {
    const at = views.findIndex((view) => view.key === current);
    const next = {
      ArrowRight: (at + 1) % views.length,
      ArrowLeft: (at + views.length - 1) % views.length,
      Home: 0,
      End: views.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onChoose(views[next].key);
    tabs.current.children[next].focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Views" ref={tabs} onKeyDown={onKeyDown}>
      {views.map(({ key, name }) => (
        <button
          key={key}
          role="tab"
          id={`tab-${key}`}
          aria-controls={`view-${key}`}
          aria-selected={key === current}
          tabIndex={key === current ? 0 : -1}
          onClick={() => onChoose(key)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

function Facts({ model }) {
  if (!model) return null;
  const facts = [];
  if (model.input?.length) facts.push(['Input', shapeText(model.input)]);
  if (model.parameters) facts.push(['Parameters', short(model.parameters)]);
  if (model.multiply_adds) facts.push(['Multiply-adds', short(model.multiply_adds)]);
  if (model.classes?.length) facts.push(['Classes', model.classes.length]);
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function App({ report }) {
  const views = viewsOf(report);
  const fromAddress = () => {
    const key = location.hash.slice(1);
    return views.some((view) => view.key === key) ? key : views[0]?.key;
  };
  const [current, setCurrent] = useState(fromAddress);
  const [visited, setVisited] = useState(new Set([current]));
  const [photo, setPhoto] = useState(0);
  const [enlarged, setEnlarged] = useState(null);

  const choose = (key) => {
    setVisited((keys) => new Set(keys).add(key));
    setCurrent(key);
  };
  useEffect(() => {
    const onHash = () => choose(fromAddress());
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  const chooseAndTell = (key) => {
    choose(key);
    history.replaceState(null, '', `#${key}`);
  };

  return (
    <>
      <header class="head">
        <div class="title">
          <h1>{report.title}</h1>
          <Facts model={report.model} />
        </div>
        <div class="bar">
          <Tabs views={views} current={current} onChoose={chooseAndTell} />
          <About />
        </div>
      </header>
      <main>
        {views.length === 0 && <p class="empty">This page holds no report.</p>}
        {views.map(({ key, View }) => (
          <section
            key={key}
            id={`view-${key}`}
            class={`view view-${key}`}
            role="tabpanel"
            aria-labelledby={`tab-${key}`}
            hidden={key !== current}
          >
            {visited.has(key) && (
              <View
                report={report}
                photo={photo}
                onPhoto={setPhoto}
                onEnlarge={setEnlarged}
                shown={key === current}
              />
            )}
          </section>
        ))}
      </main>
      {enlarged && (
        <Enlarged
          pictures={enlarged.pictures}
          start={enlarged.at}
          onClose={() => setEnlarged(null)}
        />
      )}
    </>
  );
}
