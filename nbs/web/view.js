// Images and tensors, handles that can be dragged or moved by keys, small controls.
'use strict';
(() => {
  // An element with attributes and children.
  animlib.make = (tag, attributes = {}, ...children) => {
    const svg = ['svg', 'circle', 'path', 'g', 'line', 'ellipse', 'rect'].includes(tag);
    const space = svg ? 'http://www.w3.org/2000/svg' : 'http://www.w3.org/1999/xhtml';
    const element = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const {make} = animlib;

  animlib.colours = ['#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#00a6a6', '#f032e6',
    '#7a9c00', '#c0638a', '#008080', '#9a6324', '#5b5bd6'];
  animlib.colour = k => animlib.colours[k % animlib.colours.length];

  animlib.image = url => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => fail(new Error('an image of the page cannot be read'));
    image.src = url;
  });

  // A square of an image as a tensor [1,3,size,size] in [0,1]; `index` counts along a strip.
  animlib.pixels = (image, size, index = 0) => {
    const canvas = make('canvas', {width: size, height: size});
    const pen = canvas.getContext('2d', {willReadFrequently: true});
    pen.drawImage(image, -index * size, 0);
    const {data} = pen.getImageData(0, 0, size, size);
    const made = new Float32Array(3 * size * size);
    for (let i = 0; i < size * size; i++) {
      for (let c = 0; c < 3; c++) made[c * size * size + i] = data[4 * i + c] / 255;
    }
    return animlib.tensor(made, [1, 3, size, size]);
  };

  // The bytes that `draw` shows of a frame in [0,1].
  animlib.bytes = tensor => {
    const [, , h, w] = tensor.dims;
    const made = new ImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      for (let c = 0; c < 3; c++) made.data[4 * i + c] = Math.round(255 * tensor.data[c * h * w + i]);
      made.data[4 * i + 3] = 255;
    }
    return made;
  };

  // Shares of many maps as one colour a pixel: the mean of their colours.
  animlib.tint = (tensor, colours, strength = 0.65) => {
    const [, m, h, w] = tensor.dims;
    const made = new ImageData(w, h);
    const rgb = colours.map(text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16)));
    for (let i = 0; i < h * w; i++) {
      for (let k = 0; k < m; k++) {
        const share = tensor.data[k * h * w + i];
        for (let c = 0; c < 3; c++) made.data[4 * i + c] += share * rgb[k][c];
      }
      made.data[4 * i + 3] = 255 * strength;
    }
    return made;
  };

  // A map of any numbers as grey, from black (0) to white (`top`).
  animlib.grey = (values, h, w, top = 1) => {
    const made = new ImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      made.data.fill(Math.round(255 * Math.min(1, values[i] / top)), 4 * i, 4 * i + 3);
      made.data[4 * i + 3] = 255;
    }
    return made;
  };

  // Attention as a warm veil: transparent where it is 0, opaque where it is `top`.
  animlib.heat = (values, h, w, top) => {
    const made = new ImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      const x = Math.min(1, values[i] / top);
      const to = x < 0.5 ? [[255, 196, 110], [226, 60, 50]] : [[226, 60, 50], [66, 6, 90]];
      const part = x < 0.5 ? 2 * x : 2 * x - 1;
      for (let c = 0; c < 3; c++) made.data[4 * i + c] = to[0][c] + part * (to[1][c] - to[0][c]);
      made.data[4 * i + 3] = 235 * Math.sqrt(x);
    }
    return made;
  };

  // A square with a canvas, an overlay in the model's coordinates, and a caption.
  animlib.Panel = class {
    constructor(caption, size) {
      this.size = size;
      this.canvas = make('canvas', {width: size, height: size, role: 'img', 'aria-label': caption});
      const edge = 1 + 1 / (size - 1);  // -1 and 1 are the centres of border pixels
      const box = `${-edge} ${-edge} ${2 * edge} ${2 * edge}`;
      this.overlay = make('svg', {viewBox: box});
      this.caption = make('figcaption', {}, caption);
      const square = make('div', {class: 'square'}, this.canvas, this.overlay);
      this.element = make('figure', {}, square, this.caption);
    }

    say(caption) { this.caption.textContent = caption; }

    draw(what, ...veils) {
      const pen = this.canvas.getContext('2d');
      const copy = make('canvas');
      for (const layer of [what, ...veils]) {
        if (layer instanceof ImageData) {
          copy.width = layer.width;
          copy.height = layer.height;
          copy.getContext('2d').putImageData(layer, 0, 0);
        }
        pen.imageSmoothingEnabled = layer.width > 40;
        pen.drawImage(layer instanceof ImageData ? copy : layer, 0, 0, this.size, this.size);
      }
    }

    // Where an event is, in the model's coordinates.
    place(event) {
      const box = this.overlay.getBoundingClientRect();
      const part = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return part.map(x => Math.max(-1, Math.min(1, (x * this.size - 0.5) / (this.size - 1) * 2 - 1)));
    }
  };

  // A disc that is dragged, or moved by the arrow keys; `moved` is called with its new place.
  animlib.handle = (panel, label, colour, radius, moved, chosen = () => {}) => {
    const disc = make('circle', {
      r: radius, fill: colour, class: 'handle', tabindex: 0, role: 'button', 'aria-label': label,
    });
    let xy = [0, 0];
    const put = place => {
      xy = place;
      disc.setAttribute('cx', xy[0]);
      disc.setAttribute('cy', xy[1]);
    };
    disc.onpointerdown = event => {
      disc.setPointerCapture(event.pointerId);
      chosen();
      event.preventDefault();
      disc.focus({preventScroll: true});
    };
    disc.onpointermove = event => {
      if (disc.hasPointerCapture(event.pointerId)) moved(panel.place(event));
    };
    disc.onfocus = chosen;
    disc.onkeydown = event => {
      const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const far = event.shiftKey ? 0.1 : 0.02;
      moved(xy.map((x, i) => Math.max(-1, Math.min(1, x + far * step[i]))));
    };
    panel.overlay.append(disc);
    return {disc, put};
  };

  animlib.button = (text, action, attributes = {}) =>
    make('button', {type: 'button', onclick: action, ...attributes}, text);

  // Buttons of which one is pressed.
  animlib.choice = (label, names, chosen) => {
    const row = make('div', {class: 'row', role: 'group', 'aria-label': label});
    const press = i => [...row.children].forEach((o, k) => o.setAttribute('aria-pressed', k === i));
    names.forEach((name, i) => row.append(animlib.button(name, () => { press(i); chosen(i); })));
    press(0);
    return {element: row, press};
  };
})();
