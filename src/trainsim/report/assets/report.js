"use strict";
// The panel multiplies what the page was given; it knows no formula. Values are products of powers of the knobs, summed over phases.
(() => {
  const held = document.getElementById("what-if-data");
  if (!held) return;
  const data = JSON.parse(held.textContent);
  const knobs = data.knobs.map((knob) => ({
    ...knob, now: knob.value,
    slider: document.getElementById(`slide-${knob.name}`), box: document.getElementById(`knob-${knob.name}`),
  }));

  const product = (powers) => knobs.reduce((all, k) => all * (k.name in powers ? (k.now / k.value) ** powers[k.name] : 1), 1);
  const quantile = (sorted, p) => {
    const at = p * (sorted.length - 1), low = Math.floor(at), high = Math.ceil(at);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  };
  const written = (value, unit) => {
    const [size, suffix] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]].find(([size]) => Math.abs(value) >= size) || [1, ""];
    const digits = (value / size).toPrecision(4).replace(/\.?0+$/, "");
    return unit === "USD" ? `$${digits}${suffix}` : `${digits}${suffix}${unit === "day" ? " days" : ""}`;
  };

  const show = () => {
    for (const [name, terms] of Object.entries(data.terms)) {
      const factors = terms.map((term) => product(term.powers));
      const value = terms.reduce((sum, term, i) => sum + term.value * factors[i], 0);
      const shown = document.getElementById(`what-${name}`);
      shown.textContent = written(value, data.words[name].unit);
      shown.dataset.value = String(value);
      const draws = data.draws[name], spread = document.getElementById(`spread-${name}`);
      if (!draws) continue;
      const sums = draws[0].map((_, j) => draws.reduce((sum, row, i) => sum + row[j] * factors[i], 0)).sort((a, b) => a - b);
      const [low, high] = [quantile(sums, 0.05), quantile(sums, 0.95)];
      spread.textContent = `90 %: ${written(low, data.words[name].unit)} to ${written(high, data.words[name].unit)}`;
      Object.assign(spread.dataset, { low: String(low), high: String(high) });
    }
  };

  const set = (knob, value) => {
    if (!Number.isFinite(value) || value <= 0) return;
    knob.now = knob.most ? Math.min(value, knob.most) : value;
    show();
  };
  for (const knob of knobs) {
    knob.slider.addEventListener("input", () => {
      const value = knob.value * 2 ** Number(knob.slider.value);
      set(knob, knob.name === "gpus" ? Math.round(value) : value);
      knob.box.value = Number((knob.now * knob.shown).toPrecision(5));
    });
    knob.box.addEventListener("input", () => {
      set(knob, Number(knob.box.value) / knob.shown);
      knob.slider.value = Math.log2(knob.now / knob.value);
    });
  }
  document.getElementById("what-reset").addEventListener("click", () => {
    for (const knob of knobs) {
      knob.now = knob.value;
      knob.slider.value = 0;
      knob.box.value = Number((knob.value * knob.shown).toPrecision(5));
    }
    show();
  });
  show();
})();
