// What Flyte's console sends: to the API at its own origin, and to the object store with signed URLs.
const keep = async (what, answer) => done.push(what + ':' + (await answer).status);
const api = '/api/v1/executions';
const protobuf = {'Content-Type': 'application/octet-stream', 'Accept': 'application/octet-stream'};
const json = {'Content-Type': 'application/json'};
await keep('get', fetch('/api/v1/projects', {credentials: 'include'}));
await keep('post', fetch(api, {method: 'POST', headers: protobuf, body: new Uint8Array([10, 0])}));
await keep('put', fetch(api, {method: 'PUT', headers: json, body: '{}'}));
await keep('delete', fetch(api, {method: 'DELETE'}));
await keep('download', fetch(store + '/bucket/output?X-Amz-Signature=1'));
await keep('upload', fetch(store + '/bucket/input?X-Amz-Signature=1', {method: 'PUT', body: 'data'}));
const deck = document.createElement('iframe');
deck.sandbox = 'allow-scripts allow-same-origin allow-forms allow-popups';
deck.src = store + '/bucket/deck?X-Amz-Signature=1';
document.body.append(deck);
await new Promise(resolve => deck.onload = resolve);
// The deck tries to use the API.
await new Promise(resolve => setTimeout(resolve, 1000));
