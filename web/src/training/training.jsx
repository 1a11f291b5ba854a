import { useMemo } from 'preact/hooks';
import { duration, number, percent } from '../text.js';
import { Curves } from './curves.jsx';
import { Snapshots } from './snapshots.jsx';

const curves = [
  {
    title: 'Loss',
    keys: [['train', 'train_loss'], ['validation', 'validation_loss']],
    format: (value) => number(value),
  },
  {
    title: 'Accuracy',
    keys: [['train', 'train_accuracy'], ['validation', 'validation_accuracy']],
    format: (value) => percent(value, 2),
    tick: (value) => percent(value, 0),
  },
  { title: 'Learning rate', keys: [['learning rate', 'learning_rate']], format: (value) => number(value, 2) },
  { title: 'Seconds an epoch', keys: [['seconds', 'seconds']], format: (value) => number(value) },
];

// Only what was measured: a curve without a number is left out.
function measured({ keys, ...curve }, epochs) {
  const series = keys
    .map(([name, key]) => ({
      name,
      values: epochs.map((one) => (Number.isFinite(one[key]) ? one[key] : null)),
    }))
    .filter(({ values }) => values.some((value) => value !== null));
  return { ...curve, series };
}

function bestOf(epochs) {
  const scored = epochs.filter((one) => Number.isFinite(one.validation_accuracy));
  return scored.reduce((best, one) => (one.validation_accuracy > (best?.validation_accuracy ?? -1) ? one : best), null);
}

function Summary({ epochs }) {
  const best = bestOf(epochs);
  const seconds = epochs.reduce((sum, one) => sum + (one.seconds || 0), 0);
  return (
    <dl class="headline">
      {best && (
        <div>
          <dt>Best validation accuracy</dt>
          <dd>{percent(best.validation_accuracy, 2)}</dd>
          <dd class="soft">in epoch {best.epoch}</dd>
        </div>
      )}
      <div>
        <dt>Epochs</dt>
        <dd>{epochs.length}</dd>
        {seconds > 0 && <dd class="soft">{duration(seconds)} in all</dd>}
      </div>
    </dl>
  );
}

/// How the network was trained, and what its layers looked like on the way.
export function Training({ report, onEnlarge }) {
  const { epochs, snapshots } = report.training;
  const plots = useMemo(
    () => curves.map((curve) => measured(curve, epochs)).filter(({ series }) => series.length > 0),
    [epochs],
  );
  const numbers = epochs.map((one, i) => one.epoch ?? i + 1);
  return (
    <div class="training page-width">
      {epochs.length > 0 && <Summary epochs={epochs} />}
      <div class="all-curves">
        {plots.map((plot) => <Curves key={plot.title} {...plot} epochs={numbers} />)}
      </div>
      {snapshots.length > 0 && <Snapshots snapshots={snapshots} onEnlarge={onEnlarge} />}
    </div>
  );
}
