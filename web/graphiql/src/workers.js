// The workers behind Monaco's editors. Monaco looks for MonacoEnvironment when
// the first editor is made, so this module must be imported before graphiql.
// It stands in for 'graphiql/setup-workers/vite', which writes a line to the
// console for every worker it starts.
import EditorWorker from 'monaco-editor/esm/vs/editor/editor.worker.js?worker';
import GraphQLWorker from 'monaco-graphql/esm/graphql.worker.js?worker';
import JsonWorker from 'monaco-editor/esm/vs/language/json/json.worker.js?worker';

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    switch (label) {
      case 'graphql':
        return new GraphQLWorker();
      case 'json':
        return new JsonWorker();
      default:
        return new EditorWorker();
    }
  },
};
