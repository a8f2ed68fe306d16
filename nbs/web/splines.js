// Thin-plate splines: groups of control points, each of which bends the plane its own way.
'use strict';
(() => {
  const {make, handle, colour} = animlib;

  const kernel = (x, y) => {
    const r2 = x * x + y * y;
    return r2 * Math.log(r2 + 1e-9);
  };

  // x in matrix x = targets, by elimination with row pivots; all are lists of rows.
  const solve = (matrix, targets) => {
    const rows = matrix.map((row, i) => [...row, ...targets[i]]);
    const n = rows.length;
    for (let i = 0; i < n; i++) {
      let best = i;
      for (let k = i; k < n; k++) if (Math.abs(rows[k][i]) > Math.abs(rows[best][i])) best = k;
      [rows[i], rows[best]] = [rows[best], rows[i]];
      rows.forEach((row, k) => {
        if (k === i) return;
        const share = row[i] / rows[i][i];
        rows[k] = row.map((x, j) => x - share * rows[i][j]);
      });
    }
    return rows.map((row, i) => row.slice(n).map(x => x / row[i]));
  };

  // The least bent map that takes points `from` to points `to`: TPSMM eq. 1-3.
  animlib.spline = (from, to, stiff) => {
    const n = from.length;
    const system = from.map(([x, y], i) => [
      ...from.map(([u, v], k) => kernel(x - u, y - v) + (i === k ? stiff : 0)), x, y, 1]);
    for (const side of [0, 1, 2]) {
      system.push([...from.map(p => [...p, 1][side]), 0, 0, 0]);
    }
    const found = solve(system, [...to, [0, 0], [0, 0], [0, 0]]);
    const [a, b, shift] = found.slice(n);
    return (x, y, bent = true) => [0, 1].map(c => {
      let z = a[c] * x + b[c] * y + shift[c];
      if (bent) from.forEach(([u, v], i) => { z += found[i][c] * kernel(x - u, y - v); });
      return z;
    });
  };

  animlib.splines = async () => {
    const stage = await animlib.Stage.open('splines', ['detector', 'prepare', 'drive']);
    const {size, network} = stage;
    const each = network.card.options.n_points;  // of a group
    const n = network.card.n_kp;
    const groups = n / each;
    const source = new animlib.Panel('source, and where the spline reads', size);
    const drawn = new animlib.Panel('control points: drag them', size);
    const result = new animlib.Panel('result', size);
    let points = [];
    let chosen = 0;
    let shown = 0;
    let bent = true;
    let stiff = network.card.options['motion.stiff'];

    const home = () => {
      const {data} = stage.state['kp.xy'];
      points = Array.from({length: n}, (_, k) => [data[2 * k], data[2 * k + 1]]);
    };
    const ask = () => stage.ask({xy: animlib.tensor(points.flat(), [1, n, 2])});
    const play = i => {
      const {data} = stage.at(i).xy;
      points = points.map((_, k) => [data[2 * k], data[2 * k + 1]]);
      ask();
    };

    const web = make('path', {class: 'web'});
    const read = make('path', {class: 'web'});
    source.overlay.append(read);
    drawn.overlay.append(web);
    const anchors = Array.from({length: n}, (_, k) => {
      const dot = make('circle', {r: 0.035, fill: colour(Math.floor(k / each)), class: 'dot'});
      source.overlay.append(dot);
      return dot;
    });
    const discs = Array.from({length: n}, (_, k) => {
      const g = Math.floor(k / each);
      const label = `group ${g + 1}, point ${k % each + 1}`;
      return handle(drawn, label, colour(g), 0.05,
        place => { stage.stop(); points[k] = place; ask(); });
    });

    // Lines of a regular grid, and where the spline of the chosen group takes them.
    const lines = map => {
      const marks = Array.from({length: 13}, (_, i) => i / 6 - 1);
      const fine = Array.from({length: 37}, (_, i) => i / 18 - 1);
      const path = all => `M${all.map(p => p.map(x => x.toFixed(3)).join(' ')).join('L')}`;
      return marks.map(m =>
        path(fine.map(f => map(f, m))) + path(fine.map(f => map(m, f)))).join('');
    };
    const mark = () => {
      const {data} = stage.state['kp.xy'];
      const own = k => Math.floor(k / each) === chosen;
      discs.forEach(({disc, put}, k) => {
        put(points[k]);
        disc.style.display = own(k) ? '' : 'none';
        anchors[k].setAttribute('cx', data[2 * k]);
        anchors[k].setAttribute('cy', data[2 * k + 1]);
        anchors[k].style.opacity = own(k) ? 1 : 0.25;
      });
      const from = points.filter((_, k) => own(k));
      const to = Array.from({length: each}, (_, i) => {
        const k = chosen * each + i;
        return [data[2 * k], data[2 * k + 1]];
      });
      const map = animlib.spline(from, to, stiff);
      web.setAttribute('d', lines((x, y) => [x, y]));
      read.setAttribute('d', lines((x, y) => map(x, y, bent)));
      for (const path of [web, read]) path.setAttribute('stroke', colour(chosen));
    };

    stage.changed = async made => {
      mark();
      const frame = animlib.bytes(made.frame);
      drawn.draw(frame);
      if (shown === 0) { result.draw(frame); return; }
      if (shown === 1) {
        const tints = ['#ffffff', ...Array.from({length: groups}, (_, g) => colour(g))];
        result.draw(frame, animlib.tint(made.weights, tints));
        return;
      }
      const [, , h, w] = made.weights.dims;
      const own = made.weights.data.slice((chosen + 1) * h * w, (chosen + 2) * h * w);
      result.draw(animlib.grey(own, h, w));
    };
    const start = () => { home(); source.draw(stage.source); return ask(); };
    stage.reset = start;
    const redraw = () => stage.changed(stage.made);
    const numbers = Array.from({length: groups}, (_, g) => `${g + 1}`);
    const pick = animlib.choice('group', numbers, g => { chosen = g; redraw(); });
    [...pick.element.children].forEach((o, g) => {
      o.style.setProperty('--own', colour(g));
      o.setAttribute('aria-label', `group ${g + 1}`);
    });
    const says = ['result', 'each pixel in the colour of the group that wins it; white: background',
      'white: this group alone; black: other groups'];
    const views = animlib.choice('what is shown', ['result', 'who wins', 'this group'], i => {
      shown = i;
      result.say(says[i]);
      redraw();
    });
    const shapes = animlib.choice('the drawn spline', ['bent', 'straight part'], i => {
      bent = i === 0;
      redraw();
    });
    const slider = make('input', {
      type: 'range', min: -4, max: 0, step: 0.1, value: Math.log10(stiff), 'aria-label': 'stiffness',
      oninput: () => { stiff = 10 ** Number(slider.value); tell(); mark(); },
    });
    const stiffness = make('span');
    const tell = () => { stiffness.textContent = `stiffness of the drawn spline: ${stiff.toFixed(4)}`; };
    tell();
    const parts = stage.controls(play, start);
    await start();
    animlib.stage = stage;  // for tests
    return make('div', {class: 'explorer'},
      parts.sources,
      make('div', {class: 'row'}, 'group', pick.element),
      make('div', {class: 'panels'},
        source.element, drawn.element, result.element, parts.driving),
      parts.bar,
      make('div', {class: 'row'}, views.element, shapes.element),
      make('label', {class: 'row'}, stiffness, slider),
      parts.timing);
  };
})();
