// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"
)

const (
	cookieName  = "cart"
	quantityMax = 99
	bodyMax     = 4 << 10
)

// CartStore keeps quantities by product id for each cart.
type CartStore interface {
	Ping(ctx context.Context) error
	Items(ctx context.Context, cart string) (map[string]int, error)
	Set(ctx context.Context, cart, product string, quantity int) error // 0 removes
	Clear(ctx context.Context, cart string) error
}

// About says which build answers, so that a rollout can be watched from the page.
type About struct {
	Version     string `json:"version"`
	Environment string `json:"environment"`
	Pod         string `json:"pod"`
}

// Line is one product in a cart.
type Line struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
	Sum      int    `json:"sum"`
}

// Cart is what the API answers for a visitor's cart.
type Cart struct {
	Lines []Line `json:"lines"`
	Count int    `json:"count"`
	Total int    `json:"total"`
}

type api struct {
	store CartStore
	about About
}

// NewAPI gives the handler of every path of the backend.
func NewAPI(store CartStore, about About) http.Handler {
	a := &api{store, about}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("/readyz", a.ready)
	mux.HandleFunc("/api/version", a.method("GET", func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, a.about) }))
	mux.HandleFunc("/api/products", a.method("GET", a.products))
	mux.HandleFunc("/api/cart", a.method("GET", a.cart))
	mux.HandleFunc("/api/cart/items/", a.method("PUT", a.setItem))
	mux.HandleFunc("/api/checkout", a.method("POST", a.checkout))
	return mux
}

func answer(w http.ResponseWriter, status int, body interface{}) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}

// What went wrong inside is for the log, not for the visitor.
func failed(w http.ResponseWriter, doing string, err error) {
	log.Printf("level=error msg=%q error=%q", doing, err)
	refuse(w, http.StatusServiceUnavailable, "the cart is not available at the moment")
}

func (a *api) method(method string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && !(method == "GET" && r.Method == "HEAD") {
			w.Header().Set("Allow", method)
			refuse(w, http.StatusMethodNotAllowed, "only "+method+" is possible here")
			return
		}
		next(w, r)
	}
}

func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := a.store.Ping(ctx); err != nil {
		http.Error(w, "redis: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ok\n"))
}

func (a *api) products(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, catalog) }

var cartPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// The visitor's cart id; a visitor without a valid one gets a new one.
func cartID(w http.ResponseWriter, r *http.Request) string {
	if cookie, err := r.Cookie(cookieName); err == nil && cartPattern.MatchString(cookie.Value) {
		return cookie.Value
	}
	bytes := make([]byte, 16)
	if _, err := rand.Read(bytes); err != nil {
		panic(err) // without randomness every visitor would share a cart
	}
	id := hex.EncodeToString(bytes)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", MaxAge: int(cartLife.Seconds()), HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: r.Header.Get("X-Forwarded-Proto") == "https"})
	return id
}

func (a *api) load(ctx context.Context, id string) (Cart, error) {
	items, err := a.store.Items(ctx, id)
	if err != nil {
		return Cart{}, err
	}
	cart := Cart{Lines: []Line{}}
	for product, quantity := range items {
		found, ok := findProduct(product)
		if !ok {
			continue // no longer sold
		}
		cart.Lines = append(cart.Lines, Line{product, quantity, quantity * found.Price})
		cart.Count += quantity
		cart.Total += quantity * found.Price
	}
	sort.Slice(cart.Lines, func(i, j int) bool { return cart.Lines[i].Product < cart.Lines[j].Product })
	return cart, nil
}

func (a *api) cart(w http.ResponseWriter, r *http.Request) {
	cart, err := a.load(r.Context(), cartID(w, r))
	if err != nil {
		failed(w, "read cart", err)
		return
	}
	answer(w, http.StatusOK, cart)
}

func (a *api) setItem(w http.ResponseWriter, r *http.Request) {
	product := strings.TrimPrefix(r.URL.Path, "/api/cart/items/")
	if _, ok := findProduct(product); !ok {
		refuse(w, http.StatusNotFound, "there is no such product")
		return
	}
	var wanted struct {
		Quantity *int `json:"quantity"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(&wanted); err != nil || wanted.Quantity == nil {
		refuse(w, http.StatusBadRequest, "the body must be like {\"quantity\": 2}")
		return
	}
	if *wanted.Quantity < 0 || *wanted.Quantity > quantityMax {
		refuse(w, http.StatusBadRequest, "quantity must be from 0 to 99")
		return
	}
	id := cartID(w, r)
	if err := a.store.Set(r.Context(), id, product, *wanted.Quantity); err != nil {
		failed(w, "change cart", err)
		return
	}
	cart, err := a.load(r.Context(), id)
	if err != nil {
		failed(w, "read cart", err)
		return
	}
	answer(w, http.StatusOK, cart)
}

func (a *api) checkout(w http.ResponseWriter, r *http.Request) {
	id := cartID(w, r)
	cart, err := a.load(r.Context(), id)
	if err != nil {
		failed(w, "read cart", err)
		return
	}
	if cart.Count == 0 {
		refuse(w, http.StatusConflict, "the cart is empty")
		return
	}
	if err := a.store.Clear(r.Context(), id); err != nil {
		failed(w, "clear cart", err)
		return
	}
	bytes := make([]byte, 4)
	if _, err := rand.Read(bytes); err != nil {
		failed(w, "number order", err)
		return
	}
	answer(w, http.StatusCreated, map[string]interface{}{"order": strings.ToUpper(hex.EncodeToString(bytes)), "total": cart.Total})
}
