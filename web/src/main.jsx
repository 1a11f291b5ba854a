import { render } from 'preact';
import { App } from './app.jsx';
import { readReport } from './report.js';

const report = readReport(document.getElementById('report').textContent);
document.title = report.title;
render(<App report={report} />, document.getElementById('page'));
