import { useRef } from 'preact/hooks';

/// The licences of the libraries in this page.
export function About() {
  const dialog = useRef(null);
  const licences = document.getElementById('licences').textContent;
  return (
    <>
      <button class="plain about" aria-label="About this page" onClick={() => dialog.current.showModal()}>
        <span aria-hidden="true">?</span>
      </button>
      <dialog class="sheet" ref={dialog} aria-label="About this page">
        <form method="dialog" class="sheet-head">
          <h2>About this page</h2>
          <button class="plain" aria-label="Close">
            <span aria-hidden="true">{'\u2715'}</span>
          </button>
        </form>
        <p>
          Written by <code>striate look report</code>. It needs no network and no other file, and
          sends nothing anywhere.
        </p>
        <h3>Keys</h3>
        <dl class="keys">
          <dt>Network, embedding</dt>
          <dd>
            arrows: go from one to the next; <kbd>+</kbd> <kbd>{'\u2212'}</kbd> zoom; <kbd>0</kbd>{' '}
            all; <kbd>Shift</kbd> with arrows moves the plot
          </dd>
          <dt>Network</dt>
          <dd>
            <kbd>Enter</kbd> opens a layer or a block; <kbd>Backspace</kbd> closes the block around
            it; <kbd>Esc</kbd> closes the panel
          </dd>
          <dt>Enlarged pictures</dt>
          <dd>arrows: previous and next</dd>
        </dl>
        <h3>Libraries in it</h3>
        <pre tabIndex={0}>{licences}</pre>
      </dialog>
    </>
  );
}
