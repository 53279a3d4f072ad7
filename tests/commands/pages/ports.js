// What a page can send to a place at which kubectl listens.
for (const place of places) {
    for (const method of ['GET', 'POST']) {
        await fetch('http://' + place, {method, mode: 'no-cors'}).catch(() => 0);
    }
    const image = document.createElement('img');
    image.src = 'http://' + place;
    document.body.append(image);
    try {
        new WebSocket('ws://' + place);
    } catch (error) {
        done.push(error.name);
    }
}
await new Promise(resolve => setTimeout(resolve, 1000));
