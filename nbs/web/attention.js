// Where a model looks: tokens of a Motion Transformer in every layer and head, and the lookup of
// a Pose-Attentive model from one place of the driving frame.
'use strict';
(() => {
  const {make, colour} = animlib;
  const percent = (x, digits = 1) => `${(100 * x).toFixed(digits)} %`;

  // ---- tokens and patches ----
  // All attention of one image: rows are tokens, motion tokens first.
  class Attended {
    constructor({attention, xy}, tokens) {
      [this.layers, this.heads, this.all] = attention.dims;
      this.data = attention.data;
      this.tokens = tokens;
      this.side = Math.round(Math.sqrt(this.all - tokens));
      this.xy = Array.from({length: xy.dims[1]}, (_, k) => [...xy.data.slice(2 * k, 2 * k + 2)]);
      this.tops = {};
    }

    // What a token gives to all others; the head after the last is the mean of all heads.
    row(layer, head, token) {
      const own = k => {
        const begin = ((layer * this.heads + k) * this.all + token) * this.all;
        return this.data.subarray(begin, begin + this.all);
      };
      if (head < this.heads) return own(head);
      const made = new Float32Array(this.all);
      for (let k = 0; k < this.heads; k++) own(k).forEach((x, i) => { made[i] += x / this.heads; });
      return made;
    }

    // The layer in which a token gives most to one patch, in the mean of the heads.
    sharpest(token) {
      const most = Array.from({length: this.layers}, (_, layer) =>
        Math.max(...this.row(layer, this.heads, token).subarray(this.tokens)));
      return most.indexOf(Math.max(...most));
    }

    // What motion tokens give to each other.
    between(layer, head) {
      return Array.from({length: this.tokens}, (_, i) =>
        [...this.row(layer, head, i).subarray(0, this.tokens)]).flat();
    }

    // The mean of `between` over all layers and heads.
    meanBetween() {
      const made = new Array(this.tokens ** 2).fill(0);
      for (let layer = 0; layer < this.layers; layer++) {
        this.between(layer, this.heads).forEach((x, i) => { made[i] += x / this.layers; });
      }
      return made;
    }

    // The largest share in any layer and head that such rows give to such columns.
    top(name, rows, columns, diagonal = true) {
      if (this.tops[name]) return this.tops[name];
      let top = 0;
      for (let block = 0; block < this.layers * this.heads; block++) {
        for (let i = rows[0]; i < rows[1]; i++) {
          for (let j = columns[0]; j < columns[1]; j++) {
            if (diagonal || i !== j) top = Math.max(top, this.data[(block * this.all + i) * this.all + j]);
          }
        }
      }
      return (this.tops[name] = top);
    }

    get tokenTop() { return this.top('token', [0, this.tokens], [this.tokens, this.all]); }

    get patchTop() { return this.top('patch', [this.tokens, this.all], [this.tokens, this.all]); }

    get betweenTop() { return this.top('between', [0, this.tokens], [0, this.tokens], false); }
  }

  // Buttons for all layers (rows) and heads (columns) and their mean; arrow keys move among them.
  const heads = (layers, count, side, chosen) => {
    const columns = count + 1;
    const grid = make('div', {class: 'tiles', role: 'group', 'aria-label': 'layers and heads'});
    grid.style.setProperty('--columns', columns);
    const label = text => make('span', {class: 'axis', 'aria-hidden': true}, text);
    grid.append(label(''), ...Array.from({length: columns}, (_, k) =>
      label(k < count ? `head ${k + 1}` : 'mean')));
    const tiles = [];
    for (let layer = 0; layer < layers; layer++) {
      grid.append(label(`${layer + 1}`));
      for (let head = 0; head < columns; head++) {
        const canvas = make('canvas', {width: side, height: side});
        const name = `layer ${layer + 1}, ${head < count ? `head ${head + 1}` : 'mean of all heads'}`;
        const button = make('button',
          {type: 'button', 'aria-label': name, title: name, onclick: () => chosen(layer, head)}, canvas);
        const i = tiles.length;
        button.onkeydown = event => {
          const far = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[event.key];
          const next = far && tiles[i + far];
          if (!next) return;
          event.preventDefault();
          next.button.focus();
          next.button.click();
        };
        tiles.push({layer, head, canvas, button, name});
        grid.append(button);
      }
    }
    return {grid, tiles};
  };

  const tokens = async () => {
    const data = await animlib.part('data/tokens');
    const network = await animlib.Network.open(data.model, ['attention']);
    const {size} = network.card;
    const strip = await animlib.image(data.clip.url);
    const images = await Promise.all(data.sources.map(one => animlib.image(one.url)));
    const m = data.tokens;
    const first = await network.run('attention', {frame: animlib.pixels(strip, size)});
    let seen = new Attended(first, m);
    const {layers, heads: count, all, side} = seen;
    let image = strip;
    let at = [seen.sharpest(0), count];  // layer, head; the head after the last: the mean of all
    let pinned = 0;      // a motion token, or m + a patch
    let hovered = null;  // a patch under the mouse
    let busy = false;
    const query = () => hovered ?? pinned;
    const tokenName = i => `token ${i + 1}${data.joints.length ? ` (${data.joints[i]})` : ''}`;
    const queryName = i => (i < m ? tokenName(i)
      : `the patch in row ${Math.floor((i - m) / side) + 1}, column ${(i - m) % side + 1}`);

    // ---- what is seen ----
    const big = new animlib.Panel('', size);
    big.square.classList.add('tap');
    const dots = Array.from({length: seen.xy.length}, (_, k) => {
      const dot = make('circle', {r: 0.035, fill: colour(k), class: 'dot'});
      big.overlay.append(dot);
      return dot;
    });
    const {grid, tiles} = heads(layers, count, side, (layer, head) => { at = [layer, head]; draw(); });
    const scale = make('div');
    const sentence = make('p', {class: 'told', 'aria-live': 'polite'});
    const timing = make('p', {class: 'timing', role: 'status'});
    const pointed = (i, j) => {
      const share = seen.between(...at)[i * m + j];
      cell.textContent = `${tokenName(i)} gives ${percent(share)} to ${tokenName(j)}.`;
    };
    const given = animlib.matrix(m, '', i => pin(i), pointed);
    const tree = animlib.matrix(m, 'nearness on the true kinematic tree', i => pin(i), (i, j) => {
      const bones = Math.round(1 / data.near[i][j] - 1);
      cell.textContent = `${tokenName(i)} and ${tokenName(j)}: ${bones} bones apart.`;
    });
    const cell = make('p', {class: 'timing'}, 'Point at a cell; click a row to choose its token.');
    const givenSays = make('figcaption');
    const givenScale = make('div');

    const showTokens = () => {
      const values = seen.between(...at);
      given.draw(values, seen.betweenTop, query());
      const name = tiles.find(o => o.layer === at[0] && o.head === at[1]).name;
      let says = `What motion tokens (rows) give to each other (columns): ${name}.`;
      if (data.near.length) {
        const near = data.near.flat();
        const [here, mean] = [values, seen.meanBetween()].map(x => animlib.rankCorrelation(x, near, m));
        says += ` Rank correlation with the tree: ${here.toFixed(2)}; ` +
          `of the mean of all layers and heads: ${mean.toFixed(2)}.`;
        tree.draw(near.map(x => x * x), 1, query());  // its colours follow the square root
        animlib.tokens.correlation = here;
      }
      givenSays.textContent = says;
      given.say(says);
      givenScale.replaceChildren(animlib.legend(seen.betweenTop, 1 / all));
    };
    const draw = () => {
      const i = query();
      const top = i < m ? seen.tokenTop : seen.patchTop;
      for (const {layer, head, canvas, button} of tiles) {
        const map = seen.row(layer, head, i).subarray(m);
        canvas.getContext('2d').clearRect(0, 0, side, side);
        canvas.getContext('2d').putImageData(animlib.heat(map, side, side, top), 0, 0);
        const pressed = layer === at[0] && head === at[1];
        button.setAttribute('aria-pressed', pressed);
        button.tabIndex = pressed ? 0 : -1;
      }
      const row = seen.row(...at, i);
      const shown = image === strip ? animlib.frameOf(strip, size, Number(player.slider.value)) : image;
      big.draw(shown, animlib.heat(row.subarray(m), side, side, top));
      dots.forEach((dot, k) => {
        dot.setAttribute('cx', seen.xy[k][0]);
        dot.setAttribute('cy', seen.xy[k][1]);
        dot.classList.toggle('chosen', i < m && k === i % dots.length);
      });
      const patch = i < m ? null : i - m;
      ring.disc.classList.toggle('away', patch === null);
      if (patch !== null) ring.put([patch % side, Math.floor(patch / side)].map(c => (2 * c + 1) / side - 1));
      const toTokens = row.subarray(0, m).reduce((sum, x) => sum + x, 0);
      const most = row.subarray(m).reduce((a, b) => Math.max(a, b), 0);
      const who = queryName(i);
      sentence.textContent = `${who[0].toUpperCase()}${who.slice(1)} gives ${percent(toTokens)} of its ` +
        `attention to motion tokens and at most ${percent(most)} to one patch; ` +
        `an even spread gives ${percent(1 / all)} to each.`;
      scale.replaceChildren(animlib.legend(top, 1 / all));
      pick.press(pinned < m ? pinned : -1);
      showTokens();
    };

    // ---- what is asked ----
    const pin = i => { pinned = i; hovered = null; draw(); };
    const patchAt = place => {
      const [c, r] = place.map(x => Math.max(0, Math.min(side - 1, Math.floor((x + 1) / 2 * side))));
      return m + r * side + c;
    };
    const hover = i => { if (i !== hovered) { hovered = i; draw(); } };
    const ring = animlib.handle(big, 'the patch that looks', 'none', 0.07,
      place => pin(patchAt(place)), () => {}, 2 / side);
    big.overlay.onpointermove = event => {
      if (event.pointerType === 'mouse' && !event.buttons) hover(patchAt(big.place(event)));
    };
    big.overlay.onpointerleave = () => hover(null);
    big.overlay.onpointerdown = event => pin(patchAt(big.place(event)));
    big.say('Point at a patch to see where it looks; a click keeps it. Dots: keypoints of the tokens.');
    const pick = animlib.choice('motion token', Array.from({length: m}, (_, k) => `${k + 1}`), pin);
    [...pick.element.children].forEach((o, k) => {
      o.style.setProperty('--own', colour(k));
      o.setAttribute('aria-label', tokenName(k));
      o.title = tokenName(k);
    });
    const look = animlib.newest(async ([from, index]) => {
      busy = true;
      const found = await network.run('attention', {frame: animlib.pixels(from, size, index)});
      image = from;
      seen = new Attended(found, m);
      report();
      draw();
      busy = false;
    });
    const report = () => {
      timing.textContent = `one frame, all layers and heads: ` +
        `${network.milliseconds.attention.toFixed(0)} ms in this browser. No server takes part.`;
    };
    const player = animlib.player(data.clip, () => busy, i => { thumbs.press(0); look([strip, i]); });
    const clipImage = {src: animlib.frameOf(strip, size, 0).toDataURL()};
    const names = ['the clip', ...data.sources.map(({name}) => name)];
    const thumbs = animlib.thumbnails('image', names, [clipImage, ...images], i => {
      player.stop();
      look(i ? [images[i - 1], 0] : [strip, Number(player.slider.value)]);
    });
    animlib.tokens = {  // for tests
      network, look, strip, size, state: () => ({seen, query: query(), at, busy}),
    };
    report();
    draw();
    const figures = data.near.length
      ? [make('figure', {}, given.element, givenScale, givenSays),
        make('figure', {}, tree.element, make('figcaption', {},
          'The true kinematic tree: the fewer bones between the joints of two tokens, the darker.'))]
      : [make('figure', {}, given.element, givenScale, givenSays)];
    return make('section', {},
      make('h2', {}, 'Motion tokens and patches'),
      make('p', {}, data.about),
      thumbs.element,
      make('div', {class: 'row'}, player.toggle, player.slider),
      make('div', {class: 'row'}, 'motion token', pick.element),
      make('div', {class: 'panels two'}, big.element, make('figure', {}, grid, scale,
        make('figcaption', {}, 'Rows: layers. All on one colour scale; click one to enlarge it.'))),
      sentence, timing,
      make('h3', {}, 'Token to token'),
      make('div', {class: 'panels two'}, ...figures), cell);
  };

  // ---- the lookup from one place ----
  const lookup = async () => {
    const stage = await animlib.Stage.open('lookup');
    const {size, network} = stage;
    const result = new animlib.Panel('', size);
    result.square.classList.add('tap');
    const source = new animlib.Panel('', size);
    const [, , h, w] = network.card.graphs.attention.outputs.attention;
    let pinned = [0, 0];
    let codes = null;
    const bar = make('div');
    const look = animlib.newest(async place => {
      const given = {
        ...stage.state, 'driving.xy': codes.xy, place: animlib.tensor(place, [1, 2]),
      };
      const {data} = (await network.run('attention', given)).attention;
      const top = Math.max(...data);
      source.draw(stage.source, animlib.heat(data, h, w, top));
      const many = Math.round(1 / data.reduce((sum, x) => sum + x * x, 0));
      source.say(`source: this place is put together from about ${many} of its ${h * w} places`);
      bar.replaceChildren(animlib.legend(top, 1 / (h * w)));
      cross.put(place);
    });
    const ask = made => { codes = made; return stage.ask(made); };
    stage.changed = async made => { result.draw(animlib.bytes(made.frame)); await look(pinned); };
    const pin = place => { pinned = place; look(place); };
    const cross = animlib.handle(result, 'the place that is looked up', '#ffffff', 0.06, pin);
    cross.disc.classList.add('chosen');
    result.say('result: point at a place to see where it comes from; a click keeps it');
    result.overlay.onpointermove = event => {
      if (event.pointerType === 'mouse' && !event.buttons) look(result.place(event));
    };
    result.overlay.onpointerleave = () => look(pinned);
    result.overlay.onpointerdown = event => pin(result.place(event));
    const start = () => ask(stage.at(0));
    stage.reset = start;
    const parts = stage.controls(i => ask(stage.at(i)), start);
    await start();
    animlib.stage = stage;  // for tests
    return make('section', {},
      make('h2', {}, 'Looking up the source'),
      make('p', {}, stage.data.about),
      parts.sources,
      make('div', {class: 'panels'}, result.element,
        make('figure', {}, ...source.element.children, bar), parts.driving),
      parts.bar, parts.timing);
  };

  animlib.attention = async () =>
    make('div', {class: 'explorer'}, await tokens(), await lookup());
})();
