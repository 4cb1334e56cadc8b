/** The script of the page that `qsparse law page` writes: the laws stand in it. */

import '../shared/theme.css';
import './law.css';
import type { PageLaw } from '../../src/report/page-data.ts';
import { lawForm } from '../../src/scaling/law-form.ts';
import { byId } from '../shared/dom.ts';
import { LawView } from './law-view.ts';

const laws = JSON.parse(byId('law-data').textContent!) as PageLaw[];
new LawView(laws.map((law) => ({ ...law, form: lawForm('exponential') })));
byId('controls').addEventListener('submit', (event) => event.preventDefault());
