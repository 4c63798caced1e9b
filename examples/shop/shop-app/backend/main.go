// Backend of the shop: products and a cart, over JSON. Standard library only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type product struct {
	ID     string            `json:"id"`
	Name   map[string]string `json:"name"`
	Detail map[string]string `json:"detail"`
	Price  int               `json:"price"` // won
	Stock  int               `json:"stock"`
}

var products = []product{
	{"moon-jar", text("Moon jar", "달항아리"), text("White porcelain, thrown by hand in Icheon", "이천에서 손으로 빚은 백자"), 128000, 4},
	{"tea-cup", text("Celadon tea cup", "청자 찻잔"), text("Jade glaze with fine crackle", "잔잔한 빙렬의 비색 유약"), 34000, 12},
	{"bojagi", text("Bojagi wrapping cloth", "조각보"), text("Ramie, stitched from remnants", "모시 조각을 이어 바느질한 보자기"), 56000, 7},
	{"lantern", text("Hanji lantern", "한지 등"), text("Mulberry paper on a bamboo frame", "대나무 살에 바른 닥종이"), 72000, 5},
	{"brush", text("Calligraphy brush", "서예 붓"), text("Goat hair, medium", "양모 중필"), 18000, 30},
	{"gimbap", text("Gimbap board", "김밥 도마"), text("Zelkova wood, oiled", "기름을 먹인 느티나무"), 41000, 9},
}

func text(en, ko string) map[string]string { return map[string]string{"en": en, "ko": ko} }

func find(id string) *product {
	for i := range products {
		if products[i].ID == id {
			return &products[i]
		}
	}
	return nil
}

// store keeps the carts; redis in the cluster, memory in tests.
type store interface {
	add(ctx context.Context, cart, product string, count int) error
	list(ctx context.Context, cart string) (map[string]int, error)
	ping(ctx context.Context) error
}

type server struct{ carts store }

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("/readyz", s.ready)
	mux.HandleFunc("/api/version", func(w http.ResponseWriter, _ *http.Request) {
		host, _ := os.Hostname()
		answer(w, http.StatusOK, map[string]string{"pod": host, "version": os.Getenv("VERSION")})
	})
	mux.HandleFunc("/api/products", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, products) })
	mux.HandleFunc("/api/cart", s.cart)
	return mux
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.carts.ping(r.Context()); err != nil {
		http.Error(w, "redis: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

type line struct {
	Product string `json:"product"`
	Count   int    `json:"count"`
}

// GET gives the cart of the session, POST adds to it.
func (s *server) cart(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Cart")
	if len(id) < 8 || len(id) > 64 || strings.ContainsAny(id, " \r\n") {
		http.Error(w, "X-Cart names no cart", http.StatusBadRequest)
		return
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var item line
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&item); err != nil || find(item.Product) == nil || item.Count < 1 || item.Count > 99 {
			http.Error(w, "no such product, or a count that can't be", http.StatusBadRequest)
			return
		}
		if err := s.carts.add(r.Context(), id, item.Product, item.Count); err != nil {
			http.Error(w, "the cart can't be reached: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	default:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	counts, err := s.carts.list(r.Context(), id)
	if err != nil {
		http.Error(w, "the cart can't be reached: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	lines, total := []line{}, 0
	for _, p := range products {
		if n := counts[p.ID]; n > 0 {
			lines, total = append(lines, line{p.ID, n}), total+n*p.Price
		}
	}
	answer(w, http.StatusOK, map[string]any{"lines": lines, "total": total})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Printf("answer: %v", err)
	}
}

func main() {
	address := os.Getenv("REDIS")
	if address == "" {
		address = "redis:6379"
	}
	s := &http.Server{Addr: ":8080", Handler: (&server{newRedis(address)}).routes(), ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	go func() {
		<-stop.Done()
		ending, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = s.Shutdown(ending)
	}()
	log.Printf("backend listens on %s, redis at %s", s.Addr, address)
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
