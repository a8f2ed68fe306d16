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
      const {clip} = this.data;
      const slider = make('input', {
        type: 'range', min: 0, max: clip.frames - 1, value: 0, 'aria-label': 'frame of the clip',
      });
      let timer = null;
      const driving = new animlib.Panel('driving clip', this.size);
      const show = i => {
        slider.value = i;
        const frame = make('canvas', {width: this.size, height: this.size});
        frame.getContext('2d').drawImage(this.strip, -i * this.size, 0);
        driving.draw(frame);
      };
      const stop = () => {
        clearInterval(timer);
        timer = null;
        toggle.textContent = '▶ play';
      };
      const toggle = button('▶ play', () => {
        if (timer) { stop(); return; }
        toggle.textContent = '❚❚ pause';
        timer = setInterval(() => {
          if (this.busy) return;
          const i = (Number(slider.value) + 1) % clip.frames;
          show(i);
          play(i);
        }, 1000 / clip.fps);
      });
      slider.oninput = () => { stop(); show(Number(slider.value)); play(Number(slider.value)); };
      const home = button('reset', () => { stop(); show(0); this.reset(); });
      const row = make('div', {class: 'row thumbnails', role: 'group', 'aria-label': 'source'});
      this.sources.forEach((image, i) => {
        const thumb = make('img', {src: image.src, alt: ''});
        const pick = async () => {
          [...row.children].forEach((o, k) => o.setAttribute('aria-pressed', k === i));
          stop();
          show(0);
          await this.choose(i);
          changedSource();
        };
        const name = this.data.sources[i].name;
        row.append(make('button', {
          type: 'button', onclick: pick, 'aria-pressed': i === 0, 'aria-label': `source: ${name}`,
        }, thumb));
      });
      this.timing = make('p', {class: 'timing', role: 'status'});
      this.stop = stop;
      show(0);
      return {
        driving: driving.element,
        sources: row,
        bar: make('div', {class: 'row'}, toggle, slider, home),
        timing: this.timing,
      };
    }
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
      root.dataset.ready = 'no';
      console.info(error);
    }
  };
})();
