// What a page of another site can send to `target`.
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const json = {'Content-Type': 'application/json'};
const body = '{"project": "remedy", "domain": "development"}';
const url = target + '/api/v1/executions';
const ask = options => fetch(url, options).then(answer => done.push(answer.type), () => done.push('failed'));
await ask({method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body});
await ask({method: 'POST', mode: 'no-cors', body: new URLSearchParams({a: 'b'})});
await ask({method: 'POST', mode: 'no-cors', body: new FormData()});
await ask({method: 'POST', mode: 'no-cors', body: new Blob([body])});
await ask({method: 'POST', mode: 'no-cors'});
await ask({method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer', credentials: 'include', body});
await ask({method: 'POST', headers: json, body});
await ask({method: 'PUT', headers: json, body});
await ask({method: 'DELETE'});
await ask({});
navigator.sendBeacon(url, body);
const elements = {img: 'src', script: 'src', link: 'href', iframe: 'src', object: 'data'};
for (const [tag, attribute] of Object.entries(elements)) {
    const element = document.createElement(tag);
    element.rel = 'stylesheet';
    element[attribute] = target + '/console/' + tag;
    document.body.append(element);
}
new WebSocket(target.replace('http', 'ws') + '/socket');
const frame = document.createElement('iframe');
frame.name = 'frame';
document.body.append(frame);
for (const [method, enctype] of [['POST', 'text/plain'], ['POST', 'multipart/form-data'], ['GET', 'text/plain']]) {
    const form = document.createElement('form');
    Object.assign(form, {method, enctype, target: 'frame', action: url});
    // Sent as text/plain, this is JSON: {"project": "remedy", "x": "="}
    form.innerHTML = `<input name='{"project": "remedy", "x": "' value='"}'>`;
    document.body.append(form);
    form.submit();
    await pause(300);
}
const sandboxed = document.createElement('iframe');
sandboxed.sandbox = 'allow-scripts';
sandboxed.srcdoc = `<script>fetch('${url}', {method: 'POST', mode: 'no-cors', body: 'x'})<` + '/script>';
document.body.append(sandboxed);
await pause(1000);
