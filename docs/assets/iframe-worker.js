// The search runs in a Worker, which browsers refuse to pages that were opened as files. For these, and only these, the
// Worker's script runs in a hidden frame instead. (Zensical's own substitute would be loaded from a server.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.scope = frame.contentWindow
      this.scope.postMessage = data => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        this.onmessage?.(event)
      }
      this.loaded = new Promise(resolve => {
        const script = this.scope.document.createElement("script")
        script.onload = resolve
        script.src = url
        this.scope.document.body.append(script)
      })
      this.terminate = () => frame.remove()
    }
    postMessage(data) {
      this.loaded.then(() => this.scope.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
