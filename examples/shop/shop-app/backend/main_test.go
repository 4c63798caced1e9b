package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type memory struct {
	carts map[string]map[string]int
	down  bool
}

func (m *memory) add(_ context.Context, cart, product string, count int) error {
	if m.down {
		return errors.New("down")
	}
	if m.carts[cart] == nil {
		m.carts[cart] = map[string]int{}
	}
	m.carts[cart][product] += count
	return nil
}
func (m *memory) list(_ context.Context, cart string) (map[string]int, error) { return m.carts[cart], nil }
func (m *memory) ping(context.Context) error {
	if m.down {
		return errors.New("down")
	}
	return nil
}

func TestRequests(t *testing.T) {
	carts := &memory{carts: map[string]map[string]int{}}
	handler := (&server{carts}).routes()
	cases := []struct {
		name, method, path, cart, body string
		status                         int
		holds                          string
	}{
		{"health", "GET", "/healthz", "", "", 200, "ok"},
		{"products in both languages", "GET", "/api/products", "", "", 200, "달항아리"},
		{"an empty cart", "GET", "/api/cart", "cart-0001", "", 200, `"total":0`},
		{"a product is added", "POST", "/api/cart", "cart-0001", `{"product":"tea-cup","count":2}`, 200, `"total":68000`},
		{"and kept", "GET", "/api/cart", "cart-0001", "", 200, `"tea-cup"`},
		{"another cart has nothing of it", "GET", "/api/cart", "cart-0002", "", 200, `"total":0`},
		{"no cart named", "GET", "/api/cart", "", "", 400, "X-Cart"},
		{"no such product", "POST", "/api/cart", "cart-0001", `{"product":"car","count":1}`, 400, "no such product"},
		{"a count below one", "POST", "/api/cart", "cart-0001", `{"product":"brush","count":-1}`, 400, "count"},
		{"another method", "DELETE", "/api/cart", "cart-0001", "", 405, "GET or POST"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("X-Cart", c.cart)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
				t.Fatalf("%d %s, want %d with %q", w.Code, w.Body, c.status, c.holds)
			}
		})
	}
	carts.down = true
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Fatalf("ready without redis: %d", w.Code)
	}
}
