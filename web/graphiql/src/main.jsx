import './workers.js'; // first: see there
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import { fetcher } from './fetcher.js';
import firstQuery from './first.graphql?raw'; // a file, so that it can be tested against the schema

// graphiql/style.css is not used: it holds Monaco's styles a second time and
// 360 kB of fonts.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <GraphiQL fetcher={fetcher} defaultQuery={firstQuery} />
  </StrictMode>,
);
