// Search when a page is opened from the disk: browsers allow no workers there, so its script runs in a frame instead.
// The theme's scripts look for the class by this name.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.documentElement.appendChild(frame)
      this.inside = frame.contentWindow
      addEventListener("message", event => {
        if (event.source !== this.inside) return
        const told = new MessageEvent("message", { data: event.data })
        this.dispatchEvent(told)
        if (this.onmessage) this.onmessage(told)
      })
      const script = String(new URL(url, document.baseURI))
      this.inside.document.write(
        "<!doctype html><script>" +
          "postMessage = parent.postMessage.bind(parent);" +
          "importScripts = (...urls) => urls.reduce((last, url) => last.then(() => new Promise((done, failed) => {" +
          "const script = document.createElement('script');" +
          "script.src = url; script.onload = done; script.onerror = failed;" +
          "document.body.appendChild(script) })), Promise.resolve())" +
          "</" + "script><body></body>"
      )
      this.inside.document.close()
      this.loaded = new Promise((done, failed) => {
        const element = this.inside.document.createElement("script")
        element.src = script
        element.onload = done
        element.onerror = failed
        this.inside.document.body.appendChild(element)
      })
    }
    postMessage(message) {
      this.loaded.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data: message, source: parent })))
    }
    terminate() {
      this.inside.frameElement.remove()
    }
  }
  window.Worker = window.IFrameWorker
}
