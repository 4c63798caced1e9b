// SPDX-License-Identifier: Apache-2.0

// The shop's API: products, a cart per visitor in Redis, and health endpoints. Standard library only.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Set by the linker: the image's tag.
var version = "dev"

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	log.SetFlags(0)
	store := NewRedis(setting("REDIS", "redis:6379"))
	host, _ := os.Hostname()
	api := NewAPI(store, About{Version: version, Environment: setting("SHOP_ENVIRONMENT", "local"), Pod: host})
	server := &http.Server{
		Addr:              ":" + setting("PORT", "8080"),
		Handler:           api,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       90 * time.Second,
	}

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		<-signals
		// Requests that have begun are finished; the platform sends no new ones by now.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.Printf("level=error msg=\"shutdown\" error=%q", err)
		}
	}()

	log.Printf("level=info msg=\"listening\" address=%s version=%s", server.Addr, version)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("level=error msg=\"listen\" error=%q", err)
	}
	<-stopped
}
