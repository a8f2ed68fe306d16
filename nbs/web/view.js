// Images and tensors, handles that can be dragged or moved by keys, small controls.
'use strict';
(() => {
  // An element with attributes and children.
  animlib.make = (tag, attributes = {}, ...children) => {
    const svg = ['svg', 'circle', 'path', 'g', 'line', 'ellipse', 'rect', 'text'].includes(tag);
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

  // A share of the largest as a colour [r, g, b, opacity]: 0 is transparent, 1 is dark. Colours
  // follow the square root, so that small shares can be told from none.
  animlib.warm = share => {
    const x = Math.sqrt(Math.max(0, Math.min(1, share)));
    const to = x < 0.5 ? [[255, 196, 110], [226, 60, 50]] : [[226, 60, 50], [66, 6, 90]];
    const part = x < 0.5 ? 2 * x : 2 * x - 1;
    return [...to[0].map((from, c) => from + part * (to[1][c] - from)), 235 * x];
  };

  // Attention as a warm veil: transparent where it is 0, opaque where it is `top`.
  animlib.heat = (values, h, w, top) => {
    const made = new ImageData(w, h);
    for (let i = 0; i < h * w; i++) made.data.set(animlib.warm(values[i] / top), 4 * i);
    return made;
  };

  // The colour scale (a square root, as the colours), with the value of an even spread.
  animlib.legend = (top, uniform, digits = 1) => {
    const percent = x => `${(100 * x).toFixed(digits)} %`;
    const scale = make('canvas', {width: 128, height: 1});
    const values = Float32Array.from({length: 128}, (_, i) => top * (i / 127) ** 2);
    scale.getContext('2d').putImageData(animlib.heat(values, 1, 128, top), 0, 0);
    const mark = make('i', {style: `left:${(100 * Math.min(1, uniform / top) ** 0.5).toFixed(1)}%`});
    return make('div', {class: 'legend'},
      make('div', {class: 'bar'}, scale, mark),
      make('span', {}, '0'), make('span', {}, `┃ uniform: ${percent(uniform)}`),
      make('span', {}, percent(top)));
  };

  // A square matrix with numbered rows and columns; `chosen(row)` answers a click,
  // `pointed(row, column)` the mouse.
  animlib.matrix = (n, label, chosen, pointed) => {
    const cells = [];
    const rows = Array.from({length: n}, (_, i) => {
      const row = make('g', {class: 'matrix-row', onclick: () => chosen(i)});
      row.append(make('circle', {cx: 0.5, cy: i + 1.5, r: 0.28, fill: animlib.colour(i)}));
      for (let j = 0; j < n; j++) {
        const cell = make('rect', {
          x: j + 1.04, y: i + 1.04, width: 0.92, height: 0.92, rx: 0.12,
          onpointerenter: () => pointed(i, j),
        });
        cells.push(cell);
        row.append(cell);
      }
      return row;
    });
    const heads = rows.map((_, j) =>
      make('circle', {cx: j + 1.5, cy: 0.5, r: 0.28, fill: animlib.colour(j)}));
    const numbers = {'text-anchor': 'middle', 'font-size': 0.4, fill: '#fff'};
    const words = rows.flatMap((_, i) => [[0.5, i + 1.64], [i + 1.5, 0.64]].map(([x, y]) =>
      make('text', {x, y, ...numbers}, `${i + 1}`)));
    const element = make('svg',
      {viewBox: `0 0 ${n + 1.1} ${n + 1.1}`, class: 'matrix', role: 'img', 'aria-label': label},
      ...rows, ...heads, ...words);
    // Values row by row, the diagonal left out; `top` has the darkest colour.
    const draw = (values, top, row) => {
      cells.forEach((cell, i) => {
        const [r, g, b, a] = animlib.warm(values[i] / top);
        const diagonal = i % (n + 1) === 0;
        cell.setAttribute('fill', diagonal ? '#8883' : `rgb(${r} ${g} ${b} / ${a / 255})`);
      });
      rows.forEach((o, i) => o.classList.toggle('chosen', i === row));
    };
    return {element, draw, say: text => element.setAttribute('aria-label', text)};
  };

  // Spearman's rank correlation of what is off the diagonals of two square matrices.
  animlib.rankCorrelation = (a, b, n) => {
    const ranks = values => {
      const off = [...values].filter((_, i) => i % (n + 1));
      return off.map(v => off.reduce((sum, x) => sum + (x < v) + (x === v) / 2, -0.5));
    };
    const [x, y] = [a, b].map(values => {
      const found = ranks(values);
      const mean = found.reduce((sum, v) => sum + v, 0) / found.length;
      return found.map(v => v - mean);
    });
    const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
    return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)) || 0;
  };

  // An asynchronous function of which only the newest request waits: older ones are dropped.
  animlib.newest = work => {
    let waiting = null;
    let busy = false;
    return async value => {
      waiting = [value];
      if (busy) return;
      busy = true;
      try {
        while (waiting) {
          const [next] = waiting;
          waiting = null;
          await work(next);
        }
      } finally {
        busy = false;
      }
    };
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
      this.square = make('div', {class: 'square'}, this.canvas, this.overlay);
      this.element = make('figure', {}, this.square, this.caption);
    }

    say(caption) {
      this.caption.textContent = caption;
      this.canvas.setAttribute('aria-label', caption);
    }

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

  // A disc that is dragged, or moved by the arrow keys (`unit` far; five times that with Shift);
  // `moved` is called with its new place.
  animlib.handle = (panel, label, colour, radius, moved, chosen = () => {}, unit = 0.02) => {
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
      const far = event.shiftKey ? 5 * unit : unit;
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
