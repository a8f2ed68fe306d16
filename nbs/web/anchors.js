// Anchors of an emoji: drag one, and the trained generator answers.
'use strict';
(() => {
  const {make, button, handle, colour, product} = animlib;
  const REACH = 0.17;  // of the circle that shows a Jacobian, in half-widths

  animlib.anchors = async () => {
    const stage = await animlib.Stage.open('anchors', ['detector', 'prepare', 'drive']);
    const {size, network} = stage;
    const source = new animlib.Panel('source and its anchors: drag them', size);
    const result = new animlib.Panel('result', size);
    const n = network.card.n_kp;
    let xy = [];      // where the anchors should be
    let bend = [];    // 2x2 change of each neighbourhood; identity: none
    let chosen = 0;
    let shown = 0;    // what lies over the result

    const home = () => {
      const {data} = stage.state['kp.xy'];
      xy = Array.from({length: n}, (_, k) => [data[2 * k], data[2 * k + 1]]);
      bend = Array.from({length: n}, () => [1, 0, 0, 1]);
    };
    const ask = () => {
      const jac = stage.state['kp.jac'];
      const turned = bend.flatMap((a, k) => product(a, [...jac.data.slice(4 * k, 4 * k + 4)]));
      return stage.ask({
        xy: animlib.tensor(xy.flat(), [1, n, 2]),
        jac: animlib.tensor(turned, jac.dims),
      });
    };
    const play = i => {
      const made = stage.at(i);
      const jac = stage.state['kp.jac'].data;
      xy = xy.map((_, k) => [...made.xy.data.slice(2 * k, 2 * k + 2)]);
      bend = bend.map((_, k) => {
        const [now, before] = [made.jac.data, jac].map(x => [...x.slice(4 * k, 4 * k + 4)]);
        return product(now, animlib.inverse(before));
      });
      ask();
    };

    // Circles as the neighbourhood bends them, and two handles on the chosen one.
    const circles = Array.from({length: n}, (_, k) =>
      make('path', {class: 'ellipse', stroke: colour(k)}));
    const steps = Array.from({length: n}, (_, k) => make('line', {class: 'step', stroke: colour(k)}));
    source.overlay.append(...circles, ...steps);
    const discs = Array.from({length: n}, (_, k) => handle(
      source, `anchor ${k + 1}`, colour(k), 0.045,
      place => { stage.stop(); xy[k] = place; ask(); },
      () => choose(k),
    ));
    const arms = [0, 1].map(axis => handle(
      source, ['turn and stretch, first axis', 'turn and stretch, second axis'][axis], '#ffffff', 0.04,
      place => {
        stage.stop();
        const [dx, dy] = place.map((x, i) => (x - xy[chosen][i]) / REACH);
        bend[chosen] = bend[chosen].map((old, i) => (i === axis ? dx : i === 2 + axis ? dy : old));
        ask();
      },
    ));
    const rim = (k, angle) => {
      const [a, b, c, d] = bend[k];
      const [x, y] = [REACH * Math.cos(angle), REACH * Math.sin(angle)];
      return [xy[k][0] + a * x + b * y, xy[k][1] + c * x + d * y];
    };
    // The chosen anchor lies above the others: they may be close together.
    const choose = k => {
      chosen = k;
      picks.press(k);
      if (source.overlay.lastChild !== arms[1].disc || source.above !== k) {
        source.above = k;
        const held = document.activeElement;
        source.overlay.append(circles[k], discs[k].disc, arms[0].disc, arms[1].disc);
        if (held === discs[k].disc) held.focus({preventScroll: true});
      }
      mark();
    };
    const picks = animlib.choice('anchor', discs.map((_, k) => `${k + 1}`), choose);
    [...picks.element.children].forEach((o, k) => {
      o.style.setProperty('--own', colour(k));
      o.setAttribute('aria-label', `choose anchor ${k + 1}`);
    });
    const mark = () => {
      const start = stage.state['kp.xy'].data;
      discs.forEach(({disc, put}, k) => {
        put(xy[k]);
        disc.classList.toggle('chosen', k === chosen);
        const points = Array.from({length: 33}, (_, i) => rim(k, (i / 16) * Math.PI));
        circles[k].setAttribute('d', `M${points.map(p => p.join(' ')).join('L')}Z`);
        circles[k].classList.toggle('chosen', k === chosen);
        for (const [name, value] of Object.entries(
          {x1: start[2 * k], y1: start[2 * k + 1], x2: xy[k][0], y2: xy[k][1]})) {
          steps[k].setAttribute(name, value);
        }
      });
      arms.forEach(({put, disc}, axis) => {
        put(rim(chosen, axis * Math.PI / 2));
        disc.setAttribute('stroke', colour(chosen));
      });
    };

    stage.changed = async made => {
      mark();
      const frame = animlib.bytes(made.frame);
      const shares = ['#ffffff', ...Array.from({length: n}, (_, k) => colour(k))];
      if (shown === 1) result.draw(frame, animlib.tint(made.weights, shares));
      else if (shown === 2) result.draw(animlib.grey(made.visible.data, ...made.visible.dims.slice(2)));
      else result.draw(frame);
    };
    // How much of the image each anchor moves; some may have nothing to do.
    const weigh = () => {
      const [, , h, w] = stage.made.weights.dims;
      const shares = Array.from({length: n}, (_, k) => stage.made.weights.data
        .subarray((k + 1) * h * w, (k + 2) * h * w).reduce((sum, x) => sum + x, 0) / (h * w));
      shares.forEach((share, k) => {
        const percent = Math.round(100 * share);
        picks.element.children[k].textContent = `${k + 1} · ${percent} %`;
        picks.element.children[k].classList.toggle('idle', percent === 0);
        discs[k].disc.classList.toggle('idle', percent === 0);
      });
      choose(shares.indexOf(Math.max(...shares)));
    };
    const start = async () => {
      home();
      source.draw(stage.source);
      await ask();
      weigh();
    };
    stage.reset = start;
    const names = ['result', 'who moves what', 'visible'];
    const says = ['result', 'each pixel in the colour of the anchor that moves it; white: background',
      'white: taken from the source; black: painted anew'];
    const views = animlib.choice('what is shown', names, i => {
      shown = i;
      result.say(says[i]);
      stage.changed(stage.made);
    });
    const parts = stage.controls(play, start);
    const straight = button('straighten', () => { bend[chosen] = [1, 0, 0, 1]; ask(); });
    await start();
    animlib.stage = stage;  // for tests
    return make('div', {class: 'explorer'},
      parts.sources,
      make('div', {class: 'row'}, 'anchor, and how much it moves', picks.element, straight),
      make('div', {class: 'panels'}, source.element, result.element, parts.driving),
      parts.bar,
      make('div', {class: 'row'}, views.element),
      parts.timing);
  };
})();
