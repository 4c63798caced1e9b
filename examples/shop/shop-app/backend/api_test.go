// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Carts in a map, so that handlers are tested without Redis.
type fakeStore struct {
	carts map[string]map[string]int
	err   error
}

func (f *fakeStore) Ping(context.Context) error { return f.err }
func (f *fakeStore) Items(_ context.Context, cart string) (map[string]int, error) {
	return f.carts[cart], f.err
}
func (f *fakeStore) Set(_ context.Context, cart, product string, quantity int) error {
	if f.carts[cart] == nil {
		f.carts[cart] = map[string]int{}
	}
	f.carts[cart][product] = quantity
	if quantity == 0 {
		delete(f.carts[cart], product)
	}
	return f.err
}
func (f *fakeStore) Clear(_ context.Context, cart string) error {
	delete(f.carts, cart)
	return f.err
}

type visitor struct {
	t      *testing.T
	api    http.Handler
	cookie *http.Cookie
}

func newVisitor(t *testing.T, store CartStore) *visitor {
	return &visitor{t: t, api: NewAPI(store, About{Version: "v1", Environment: "test", Pod: "here"})}
}

func (v *visitor) ask(method, path, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if v.cookie != nil {
		request.AddCookie(v.cookie)
	}
	recorder := httptest.NewRecorder()
	v.api.ServeHTTP(recorder, request)
	for _, cookie := range recorder.Result().Cookies() {
		v.cookie = cookie
	}
	return recorder
}

func (v *visitor) cart(recorder *httptest.ResponseRecorder) Cart {
	var cart Cart
	if err := json.Unmarshal(recorder.Body.Bytes(), &cart); err != nil {
		v.t.Fatalf("%s: %v", recorder.Body, err)
	}
	return cart
}

func TestEveryProductHasTextInBothLanguages(t *testing.T) {
	for _, product := range catalog {
		for _, text := range []string{product.Name.EN, product.Name.KO, product.About.EN, product.About.KO} {
			if text == "" {
				t.Errorf("%s lacks a text", product.ID)
			}
		}
		if product.Price <= 0 {
			t.Errorf("%s has no price", product.ID)
		}
	}
}

func TestACartBelongsToItsVisitor(t *testing.T) {
	store := &fakeStore{carts: map[string]map[string]int{}}
	one, two := newVisitor(t, store), newVisitor(t, store)
	one.ask("PUT", "/api/cart/items/teapot", `{"quantity": 1}`)
	got := one.cart(one.ask("PUT", "/api/cart/items/tea-cup", `{"quantity": 2}`))
	if got.Count != 3 || got.Total != 84000+2*24000 {
		t.Errorf("the cart is %+v", got)
	}
	if other := two.cart(two.ask("GET", "/api/cart", "")); other.Count != 0 {
		t.Errorf("another visitor sees %+v", other)
	}
	if got = one.cart(one.ask("PUT", "/api/cart/items/teapot", `{"quantity": 0}`)); got.Count != 2 {
		t.Errorf("after removing it is %+v", got)
	}
}

func TestCheckoutEmptiesTheCart(t *testing.T) {
	v := newVisitor(t, &fakeStore{carts: map[string]map[string]int{}})
	if status := v.ask("POST", "/api/checkout", "").Code; status != http.StatusConflict {
		t.Errorf("an empty cart is answered with %d", status)
	}
	v.ask("PUT", "/api/cart/items/tea", `{"quantity": 3}`)
	if status := v.ask("POST", "/api/checkout", "").Code; status != http.StatusCreated {
		t.Errorf("checkout is answered with %d", status)
	}
	if cart := v.cart(v.ask("GET", "/api/cart", "")); cart.Count != 0 {
		t.Errorf("after checkout the cart is %+v", cart)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	v := newVisitor(t, &fakeStore{carts: map[string]map[string]int{}})
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "/api/cart/items/car", `{"quantity": 1}`, http.StatusNotFound},
		{"PUT", "/api/cart/items/tea", `{"quantity": -1}`, http.StatusBadRequest},
		{"PUT", "/api/cart/items/tea", `{"quantity": 100}`, http.StatusBadRequest},
		{"PUT", "/api/cart/items/tea", `{}`, http.StatusBadRequest},
		{"PUT", "/api/cart/items/tea", `{"quantity": `, http.StatusBadRequest},
		{"PUT", "/api/cart/items/tea", `{"quantity": ` + strings.Repeat(" ", 5000) + `1}`, http.StatusBadRequest},
		{"DELETE", "/api/products", "", http.StatusMethodNotAllowed},
		{"GET", "/api/nothing", "", http.StatusNotFound},
	} {
		if got := v.ask(c.method, c.path, c.body).Code; got != c.want {
			t.Errorf("%s %s %.30s: %d, want %d", c.method, c.path, c.body, got, c.want)
		}
	}
}

func TestWithoutRedisTheBackendLivesButIsNotReady(t *testing.T) {
	v := newVisitor(t, &fakeStore{err: errors.New("connection refused")})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/api/products": 200, "/api/cart": 503} {
		recorder := v.ask("GET", path, "")
		if recorder.Code != want {
			t.Errorf("%s: %d, want %d", path, recorder.Code, want)
		}
		if strings.HasPrefix(path, "/api/") && strings.Contains(recorder.Body.String(), "connection refused") {
			t.Errorf("%s tells a visitor what failed inside", path)
		}
	}
}
