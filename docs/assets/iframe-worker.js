// A browser starts no worker for a page that is opened as a file. There the search runs in a hidden frame, and exchanges the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "Search";
      frame.srcdoc = `<!doctype html><script src="${url}"></` + "script>";
      this.loaded = new Promise((done) => frame.addEventListener("load", () => done(frame.contentWindow), { once: true }));
      this.loaded.then((inside) => { inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data })); });
      document.body.append(frame);
    }
    postMessage(data) {
      this.loaded.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
