// The fetcher sends one operation to /graphql of the same origin and returns
// the answer. It takes the place of createGraphiQLFetcher, which asks for
// multipart/mixed first, an answer this server does not give.
//
// A request error comes as 4xx with a GraphQL body (the type
// application/graphql-response+json allows that), so the body decides what is
// shown and not the status. An answer that is not JSON, say from a proxy, is
// shown as status and text.
export async function fetcher(params, options) {
  const response = await fetch('/graphql', {
    method: 'POST',
    credentials: 'same-origin',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...options?.headers,
    },
    body: JSON.stringify(params),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    const status = `${response.status} ${response.statusText}`.trim();
    throw new Error(`The server answered ${status}: ${text.slice(0, 500)}`);
  }
}
