// Healthd is the service of the Compose test: static, so that it runs in an
// image made from nothing.
package main

import (
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"healthy"}`)
	})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { panic(http.ListenAndServe(":8000", nil)) }()
	<-stop
}
