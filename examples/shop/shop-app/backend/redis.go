package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// redis speaks the few commands that the cart needs, in RESP2, over one connection that is made again when it breaks.
type redis struct {
	address string
	mutex   sync.Mutex
	conn    net.Conn
	reader  *bufio.Reader
}

func newRedis(address string) *redis { return &redis{address: address} }

func (r *redis) add(ctx context.Context, cart, product string, count int) error {
	if _, err := r.do(ctx, "HINCRBY", "cart:"+cart, product, strconv.Itoa(count)); err != nil {
		return err
	}
	_, err := r.do(ctx, "EXPIRE", "cart:"+cart, "604800")
	return err
}

func (r *redis) list(ctx context.Context, cart string) (map[string]int, error) {
	fields, err := r.do(ctx, "HGETALL", "cart:"+cart)
	counts := map[string]int{}
	for i := 0; err == nil && i+1 < len(fields); i += 2 {
		counts[fields[i]], err = strconv.Atoi(fields[i+1])
	}
	return counts, err
}

func (r *redis) ping(ctx context.Context) error {
	_, err := r.do(ctx, "PING")
	return err
}

// do sends one command; a broken connection is tried once more.
func (r *redis) do(ctx context.Context, args ...string) ([]string, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var err error
	for try := 0; try < 2; try++ {
		if r.conn == nil {
			dialer := net.Dialer{Timeout: 2 * time.Second}
			if r.conn, err = dialer.DialContext(ctx, "tcp", r.address); err != nil {
				r.conn = nil
				return nil, err
			}
			r.reader = bufio.NewReader(r.conn)
		}
		var reply []string
		if reply, err = r.exchange(args); err == nil {
			return reply, nil
		}
		if strings.HasPrefix(err.Error(), "redis: ") {
			return nil, err
		}
		_ = r.conn.Close()
		r.conn = nil
	}
	return nil, err
}

func (r *redis) exchange(args []string) ([]string, error) {
	_ = r.conn.SetDeadline(time.Now().Add(3 * time.Second))
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := r.conn.Write([]byte(b.String())); err != nil {
		return nil, err
	}
	return r.reply()
}

func (r *redis) reply() ([]string, error) {
	head, err := r.reader.ReadString('\n')
	if err != nil || len(head) < 3 {
		return nil, fmt.Errorf("no reply: %w", err)
	}
	rest := strings.TrimRight(head[1:], "\r\n")
	switch head[0] {
	case '+', ':':
		return []string{rest}, nil
	case '-':
		return nil, fmt.Errorf("redis: %s", rest)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return nil, err
		}
		bytes := make([]byte, n+2)
		for done := 0; done < len(bytes); {
			k, err := r.reader.Read(bytes[done:])
			if err != nil {
				return nil, err
			}
			done += k
		}
		return []string{string(bytes[:n])}, nil
	case '*':
		n, err := strconv.Atoi(rest)
		var all []string
		for i := 0; err == nil && i < n; i++ {
			var one []string
			if one, err = r.reply(); err == nil {
				all = append(all, one...)
			}
		}
		return all, err
	}
	return nil, fmt.Errorf("a reply that is none: %q", head)
}
