// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	cartLife     = 30 * 24 * time.Hour
	callTime     = 2 * time.Second
	bulkMax      = 1 << 20
	idleMax      = 8
	retriesStale = 1
)

// Redis keeps carts as hashes "cart:<id>". It speaks RESP2 (redis.io/docs/reference/protocol-spec) over a few kept connections.
type Redis struct {
	dial func(ctx context.Context) (net.Conn, error)
	idle chan *redisConn
}

type redisConn struct {
	conn   net.Conn
	reader *bufio.Reader
}

// NewRedis connects on first use.
func NewRedis(address string) *Redis {
	return &Redis{
		dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", address)
		},
		idle: make(chan *redisConn, idleMax),
	}
}

type redisError string

func (e redisError) Error() string { return string(e) }

// do sends one command and reads its reply. A kept connection that the server has closed is tried once more on a new one.
func (r *Redis) do(ctx context.Context, words ...string) (interface{}, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for attempt := 0; ; attempt++ {
		conn, kept, err := r.take(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := conn.call(ctx, words)
		var refused redisError
		if err == nil || errors.As(err, &refused) {
			r.keep(conn)
			return reply, err
		}
		conn.conn.Close()
		if !kept || attempt > idleMax {
			return nil, err
		}
	}
}

func (r *Redis) take(ctx context.Context) (*redisConn, bool, error) {
	select {
	case conn := <-r.idle:
		return conn, true, nil
	default:
	}
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, false, err
	}
	return &redisConn{conn, bufio.NewReader(conn)}, false, nil
}

func (r *Redis) keep(conn *redisConn) {
	select {
	case r.idle <- conn:
	default:
		conn.conn.Close()
	}
}

func (c *redisConn) call(ctx context.Context, words []string) (interface{}, error) {
	if deadline, ok := ctx.Deadline(); ok {
		c.conn.SetDeadline(deadline)
	}
	out := []byte(fmt.Sprintf("*%d\r\n", len(words)))
	for _, word := range words {
		out = append(out, fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)...)
	}
	if _, err := c.conn.Write(out); err != nil {
		return nil, err
	}
	return readReply(c.reader)
}

// readReply gives a string, an int64, nil or a []interface{}.
func readReply(reader *bufio.Reader) (interface{}, error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("malformed reply %q", line)
	}
	kind, rest := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, redisError(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	}
	count, err := strconv.Atoi(rest)
	if err != nil || count > bulkMax {
		return nil, fmt.Errorf("malformed reply %q", line)
	}
	if count < 0 {
		return nil, nil
	}
	switch kind {
	case '$':
		bytes := make([]byte, count+2)
		if _, err := io.ReadFull(reader, bytes); err != nil {
			return nil, err
		}
		return string(bytes[:count]), nil
	case '*':
		items := make([]interface{}, 0, count)
		for i := 0; i < count; i++ {
			item, err := readReply(reader)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return items, nil
	}
	return nil, fmt.Errorf("malformed reply %q", line)
}

func key(cart string) string { return "cart:" + cart }

// Ping asks whether Redis answers.
func (r *Redis) Ping(ctx context.Context) error {
	_, err := r.do(ctx, "PING")
	return err
}

// Items gives the quantities of a cart; one that doesn't exist is empty.
func (r *Redis) Items(ctx context.Context, cart string) (map[string]int, error) {
	reply, err := r.do(ctx, "HGETALL", key(cart))
	if err != nil {
		return nil, err
	}
	fields, ok := reply.([]interface{})
	if !ok || len(fields)%2 != 0 {
		return nil, fmt.Errorf("HGETALL answered %v", reply)
	}
	out := map[string]int{}
	for i := 0; i < len(fields); i += 2 {
		name, _ := fields[i].(string)
		text, _ := fields[i+1].(string)
		quantity, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("quantity of %s: %w", name, err)
		}
		out[name] = quantity
	}
	return out, nil
}

// Set changes one quantity; 0 removes the product. The cart lives on for a month from now.
func (r *Redis) Set(ctx context.Context, cart, product string, quantity int) error {
	if quantity == 0 {
		_, err := r.do(ctx, "HDEL", key(cart), product)
		return err
	}
	if _, err := r.do(ctx, "HSET", key(cart), product, strconv.Itoa(quantity)); err != nil {
		return err
	}
	_, err := r.do(ctx, "EXPIRE", key(cart), strconv.Itoa(int(cartLife.Seconds())))
	return err
}

// Clear removes a cart.
func (r *Redis) Clear(ctx context.Context, cart string) error {
	_, err := r.do(ctx, "DEL", key(cart))
	return err
}
