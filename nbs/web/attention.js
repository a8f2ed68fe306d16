// Where a model looks: tokens of a Motion Transformer in every layer and head, and the lookup of
// a Pose-Attentive model from one place of the driving frame.
'use strict';
(() => {
  const {make, colour} = animlib;

  // The colour scale, with the value that everything would have if the model had no preference.
  const legend = (top, uniform) => {
    const scale = make('canvas', {width: 128, height: 1});
    const values = Float32Array.from({length: 128}, (_, i) => top * i / 127);
    scale.getContext('2d').putImageData(animlib.heat(values, 1, 128, top), 0, 0);
    const mark = make('i', {style: `left:${(100 * uniform / top).toFixed(1)}%`});
    return make('div', {class: 'legend'},
      make('div', {class: 'bar'}, scale, mark),
      make('span', {}, '0'), make('span', {}, `┃ uniform: ${uniform.toFixed(4)}`),
      make('span', {}, top.toFixed(3)));
  };

  // ---- tokens and patches ----
  const tokens = async () => {
    const data = await animlib.part('data/attention');
    const network = await animlib.Network.open(data.tokens.model, ['attention']);
    const {size} = network.card;
    const images = await Promise.all(data.sources.map(one => animlib.image(one.url)));
    const big = new animlib.Panel('', size);
    const [layers, heads, all] = network.card.graphs.attention.outputs.attention;
    const m = network.card.n_kp;
    const side = Math.round(Math.sqrt(all - m));
    let seen = null;   // attention of this image
    let image = images[0];
    let row = 0;       // of the attention: a token, or m + a patch
    let at = [layers - 1, 0];
    const status = make('p', {class: 'timing', role: 'status'});
    const bar = make('div');

    const map = (layer, head) => {
      const begin = ((layer * heads + head) * all + row) * all + m;
      return seen.data.subarray(begin, begin + all - m);
    };
    const tiles = make('div', {class: 'tiles', role: 'group', 'aria-label': 'layers and heads'});
    tiles.style.setProperty('--columns', heads);
    const cells = [];
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const canvas = make('canvas', {width: side, height: side});
        const pick = () => { at = [layer, head]; draw(); };
        const label = `layer ${layer + 1}, head ${head + 1}`;
        const tile = make('button',
          {type: 'button', onclick: pick, 'aria-label': label, title: label}, canvas);
        tiles.append(tile);
        cells.push({layer, head, canvas, tile});
      }
    }
    const draw = () => {
      let top = 0;
      for (const {layer, head} of cells) for (const x of map(layer, head)) top = Math.max(top, x);
      for (const {layer, head, canvas, tile} of cells) {
        const picture = animlib.heat(map(layer, head), side, side, top);
        canvas.getContext('2d').putImageData(picture, 0, 0);
        tile.setAttribute('aria-pressed', layer === at[0] && head === at[1]);
      }
      big.draw(image, animlib.heat(map(...at), side, side, top));
      const who = row < m ? `motion token ${row + 1}` : `patch ${row - m + 1}`;
      big.say(`${who} looks here: layer ${at[0] + 1}, head ${at[1] + 1}. ` +
        'Click a patch to see where that one looks.');
      bar.replaceChildren(legend(top, 1 / all));
      probe.put(centre);
    };
    const look = async i => {
      image = images[i];
      seen = (await network.run('attention', {frame: animlib.pixels(image, size)})).attention;
      status.textContent =
        `all maps of one image: ${network.milliseconds.attention.toFixed(0)} ms in this browser`;
      draw();
    };
    // A place in the image chooses its patch: by a click, or by the arrow keys on the ring.
    let centre = [0, 0];
    const ask = place => {
      const cell = place.map(x => Math.min(side - 1, Math.floor((x + 1) / 2 * side)));
      row = m + cell[1] * side + cell[0];
      centre = place;
      pick.press(-1);
      draw();
    };
    const probe = animlib.handle(big, 'the patch that looks', 'none', 0.05, ask);
    big.overlay.onpointerdown = event => ask(big.place(event));
    const names = Array.from({length: m}, (_, k) => `${k + 1}`);
    const pick = animlib.choice('motion token', names, k => { row = k; draw(); });
    [...pick.element.children].forEach((o, k) => o.style.setProperty('--own', colour(k)));
    const thumbs = thumbnails(data.sources, images, look);
    await look(0);
    animlib.tokens = {network, look, pixels: i => animlib.pixels(images[i], size)};  // for tests
    return make('section', {},
      make('h2', {}, 'Motion tokens and patches'),
      make('p', {}, data.tokens.about),
      thumbs,
      make('div', {class: 'row'}, 'motion token', pick.element),
      make('div', {class: 'panels'}, big.element, make('figure', {}, tiles, bar,
        make('figcaption', {}, 'rows: layers; columns: heads; one colour scale for all'))),
      status);
  };

  const thumbnails = (sources, images, chosen) => {
    const row = make('div', {class: 'row thumbnails', role: 'group', 'aria-label': 'image'});
    images.forEach((image, i) => {
      const press = () => {
        [...row.children].forEach((o, k) => o.setAttribute('aria-pressed', k === i));
        chosen(i);
      };
      row.append(make('button', {
        type: 'button', onclick: press, 'aria-pressed': i === 0, 'aria-label': sources[i].name,
      }, make('img', {src: image.src, alt: ''})));
    });
    return row;
  };

  // ---- the lookup from one place ----
  const lookup = async () => {
    const stage = await animlib.Stage.open('lookup');
    const {size, network} = stage;
    const result = new animlib.Panel('', size);
    const source = new animlib.Panel('', size);
    const [, , h, w] = network.card.graphs.attention.outputs.attention;
    let place = [0, 0];
    let codes = null;
    const bar = make('div');
    const look = async () => {
      const given = {
        ...stage.state, 'driving.xy': codes.xy, place: animlib.tensor(place, [1, 2]),
      };
      const {data} = (await network.run('attention', given)).attention;
      const top = Math.max(...data);
      source.draw(stage.source, animlib.heat(data, h, w, top));
      const many = Math.round(1 / data.reduce((sum, x) => sum + x * x, 0));
      source.say(`source: this place is put together from about ${many} of its ${h * w} places`);
      bar.replaceChildren(legend(top, 1 / (h * w)));
      cross.put(place);
    };
    const ask = made => { codes = made; return stage.ask(made); };
    stage.changed = async made => { result.draw(animlib.bytes(made.frame)); await look(); };
    const cross = animlib.handle(result, 'the place that is looked up', '#ffffff', 0.06,
      to => { place = to; look(); });
    cross.disc.classList.add('chosen');
    result.say('result: click or drag, and see where the place comes from');
    result.overlay.onpointerdown = event => { place = result.place(event); look(); };
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
