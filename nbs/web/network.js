// An exported model in the page: its graphs by onnxruntime-web, relative motion by its card.
// Everything comes from files beside the page, as scripts: they can be read from a disk, too.
'use strict';
const animlib = {};

(() => {
  const parts = {};
  const scripts = {};
  animlib.put = (name, value) => { parts[name] = value; };  // called by the files themselves

  // The part that a file beside the page brings.
  animlib.part = async name => {
    scripts[name] ??= new Promise((done, fail) => {
      const tag = document.createElement('script');
      tag.src = `${name}.js`;
      tag.onload = done;
      tag.onerror = () => fail(new Error(`${name}.js is missing beside the page`));
      document.head.append(tag);
    });
    await scripts[name];
    return parts[name];
  };

  // Bytes of what was compressed by gzip and written as base64.
  const unpack = async text => {
    const packed = await fetch(`data:application/octet-stream;base64,${text}`);
    const stream = packed.body.pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  let runtime = null;
  const start = async () => {
    if (typeof WebAssembly !== 'object') throw new Error('this browser has no WebAssembly');
    if (typeof DecompressionStream !== 'function') throw new Error('this browser is too old');
    await animlib.part('runtime/ort');
    const {loader, wasm} = await animlib.part('runtime/wasm');
    const module = new Blob([await unpack(loader)], {type: 'text/javascript'});
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(module)};
    ort.env.wasm.wasmBinary = (await unpack(wasm)).buffer;
    ort.env.logLevel = 'error';
  };

  animlib.tensor = (data, dims) => new ort.Tensor('float32', Float32Array.from(data), dims);

  // 2x2 matrices, row by row: [a, b, c, d]
  animlib.product = ([a, b, c, d], [e, f, g, h]) =>
    [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
  animlib.inverse = ([a, b, c, d]) => {
    const det = a * d - b * c;
    return [d / det, -b / det, -c / det, a / det];
  };

  const rules = {  // how relative motion makes a code; `relative` of the card says the same
    keep: (source, driving) => driving,
    shift: (source, driving, first) => source.map((x, i) => x + driving[i] - first[i]),
    matrix: (source, driving, first) => {
      const made = [];
      for (let i = 0; i < source.length; i += 4) {
        const [s, d, f] = [source, driving, first].map(x => [...x.slice(i, i + 4)]);
        made.push(...animlib.product(animlib.product(d, animlib.inverse(f)), s));
      }
      return made;
    },
  };

  animlib.Network = class {
    constructor(card, sessions) {
      this.card = card;
      this.sessions = sessions;
      this.milliseconds = {};  // graph -> of its last run
      this.turn = Promise.resolve();  // one run at a time
    }

    static async open(name, graphs) {
      runtime ??= start();
      await runtime;
      const {card, files} = await animlib.part(`models/${name}`);
      const sessions = {};
      for (const graph of graphs ?? Object.keys(files)) {
        const options = {executionProviders: ['wasm'], logSeverityLevel: 3};  // 3: errors
        sessions[graph] = await ort.InferenceSession.create(await unpack(files[graph]), options);
      }
      return new animlib.Network(card, sessions);
    }

    // Outputs of a graph; inputs that it does not take are left out.
    run(graph, inputs) {
      const names = Object.keys(this.card.graphs[graph].inputs);
      const given = Object.fromEntries(names.map(name => [name, inputs[name]]));
      const made = this.turn.then(async () => {
        const begin = performance.now();
        const found = await this.sessions[graph].run(given);
        this.milliseconds[graph] = performance.now() - begin;
        return found;
      });
      this.turn = made.catch(() => {});
      return made;
    }

    prepare(source) { return this.run('prepare', {source}); }

    detect(frame) { return this.run('detector', {frame}); }

    drive(state, codes) {
      const given = Object.entries(codes).map(([name, value]) => [`driving.${name}`, value]);
      return this.run('drive', {...state, ...Object.fromEntries(given)});
    }

    // Codes for the source's figure: the change since the first frame of the clip.
    relative(state, driving, first) {
      return Object.fromEntries(Object.entries(this.card.codes).map(([code, rule]) => {
        const source = state[`kp.${code}`];
        const made = rules[rule](source.data, driving[code].data, first[code].data);
        return [code, animlib.tensor(made, source.dims)];
      }));
    }
  };
})();
