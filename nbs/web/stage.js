// What the explorers share: a network, source images, a clip with play and scrub, the frame's time.
'use strict';
(() => {
  const {make, button} = animlib;

  animlib.Stage = class {
    constructor(network, data, sources, strip) {
      this.network = network;
      this.size = network.card.size;
      this.data = data;
      this.sources = sources;
      this.strip = strip;  // the clip's frames side by side
      this.waiting = null;
      this.busy = false;
      this.changed = async () => {};  // draws; set by the explorer
      this.reset = () => {};
    }

    static async open(name, graphs) {
      const data = await animlib.part(`data/${name}`);
      const network = await animlib.Network.open(data.model, graphs);
      const sources = await Promise.all(data.sources.map(one => animlib.image(one.url)));
      const stage = new animlib.Stage(network, data, sources, await animlib.image(data.clip.url));
      await stage.watch();
      await stage.choose(0);
      return stage;
    }

    // The codes of every frame of the clip.
    async watch() {
      this.codes = [];
      for (let i = 0; i < this.data.clip.frames; i++) {
        this.codes.push(await this.network.detect(animlib.pixels(this.strip, this.size, i)));
      }
    }

    // The state of a source image.
    async choose(i) {
      this.source = this.sources[i];
      this.state = await this.network.prepare(animlib.pixels(this.source, this.size));
    }

    // What the figure of the source has in frame i of the clip.
    at(i) { return this.network.relative(this.state, this.codes[i], this.codes[0]); }

    // Draw once more, with the newest codes only: an older request that waits is dropped.
    async ask(codes) {
      this.waiting = codes;
      if (this.busy) return;
      this.busy = true;
      while (this.waiting) {
        const next = this.waiting;
        this.waiting = null;
        this.made = await this.network.drive(this.state, next);
        await this.changed(this.made);
        this.report();
        await new Promise(requestAnimationFrame);
      }
      this.busy = false;
    }

    report() {
      const {drive, prepare} = this.network.milliseconds;
      const rate = 1000 / drive;
      this.timing.textContent =
        `one frame: ${drive.toFixed(0)} ms in this browser (${rate.toFixed(rate < 10 ? 1 : 0)} a second); ` +
        `a new source: ${prepare.toFixed(0)} ms. No server takes part.`;
    }

    // Sources, clip and time as controls; `play(i)` shows frame i of the clip.
    controls(play, changedSource) {
      const driving = new animlib.Panel('driving clip', this.size);
      const show = i => driving.draw(animlib.frameOf(this.strip, this.size, i));
      const player = animlib.player(
        this.data.clip, () => this.busy, i => { show(i); play(i); });
      const back = () => { player.put(0); show(0); };
      const home = button('reset', () => { back(); this.reset(); });
      const names = this.data.sources.map(({name}) => `source: ${name}`);
      const sources = animlib.thumbnails('source', names, this.sources, async i => {
        back();
        await this.choose(i);
        changedSource();
      });
      this.timing = make('p', {class: 'timing', role: 'status'});
      this.stop = player.stop;
      back();
      return {
        driving: driving.element,
        sources: sources.element,
        bar: make('div', {class: 'row'}, player.toggle, player.slider, home),
        timing: this.timing,
      };
    }
  };

  // Frame i of a strip of square frames.
  animlib.frameOf = (strip, size, i) => {
    const frame = make('canvas', {width: size, height: size});
    frame.getContext('2d').drawImage(strip, -i * size, 0);
    return frame;
  };

  // Play and scrub; `show(i)` is called for every frame, but not while `busy()`.
  animlib.player = (clip, busy, show) => {
    const slider = make('input', {
      type: 'range', min: 0, max: clip.frames - 1, value: 0, 'aria-label': 'frame of the clip',
    });
    let timer = null;
    const stop = () => {
      clearInterval(timer);
      timer = null;
      toggle.textContent = '▶ play';
    };
    const toggle = button('▶ play', () => {
      if (timer) { stop(); return; }
      toggle.textContent = '❚❚ pause';
      timer = setInterval(() => {
        if (busy()) return;
        slider.value = (Number(slider.value) + 1) % clip.frames;
        show(Number(slider.value));
      }, 1000 / clip.fps);
    });
    slider.oninput = () => { stop(); show(Number(slider.value)); };
    return {slider, toggle, stop, put: i => { stop(); slider.value = i; }};
  };

  // Images as buttons of which one is pressed.
  animlib.thumbnails = (label, names, images, chosen) => {
    const row = make('div', {class: 'row thumbnails', role: 'group', 'aria-label': label});
    const press = i => [...row.children].forEach((o, k) => o.setAttribute('aria-pressed', k === i));
    images.forEach((image, i) => {
      const attributes = {type: 'button', 'aria-label': names[i], title: names[i]};
      const thumb = make('button', attributes, make('img', {src: image.src, alt: ''}));
      thumb.onclick = () => { press(i); chosen(i); };
      row.append(thumb);
    });
    press(0);
    return {element: row, press};
  };

  // Opens an explorer; where that fails, the still image stays, with the reason.
  animlib.start = async name => {
    const root = document.querySelector('#explorer');
    const still = root.querySelector('.twin');
    const status = make('p', {class: 'timing', role: 'status'}, 'the network is being loaded …');
    still.before(status);
    try {
      const built = await animlib[name](root);
      status.remove();
      still.replaceWith(built);
      root.dataset.ready = 'yes';
    } catch (error) {
      status.textContent = `The network does not run here (${error.message}); ` +
        'the image below shows what it does.';
      if (location.protocol === 'file:') {
        status.append(' This page was opened from a disk, and this browser may want a server: run ',
          make('code', {}, 'python -m http.server 8000'), ' in the folder of the page and open ',
          make('code', {}, `http://127.0.0.1:8000/${location.pathname.split('/').pop()}`), '.');
      }
      root.dataset.ready = 'no';
      console.info(error);
    }
  };
})();
