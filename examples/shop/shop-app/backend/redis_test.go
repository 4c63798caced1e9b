// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"net"
	"reflect"
	"strings"
	"testing"
)

// A Redis whose server side is a list of replies, each given for one command; the commands are recorded.
func scripted(t *testing.T, replies ...string) (*Redis, *[]string) {
	var seen []string
	redis := NewRedis("")
	redis.dial = func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			reader := bufio.NewReader(server)
			for len(replies) > 0 {
				command, err := readReply(reader)
				if err != nil {
					return
				}
				var words []string
				for _, word := range command.([]interface{}) {
					words = append(words, word.(string))
				}
				seen = append(seen, strings.Join(words, " "))
				reply := replies[0]
				replies = replies[1:]
				if reply == "hang up" {
					return
				}
				server.Write([]byte(reply))
			}
		}()
		return client, nil
	}
	return redis, &seen
}

func TestCommandsAndReplies(t *testing.T) {
	redis, seen := scripted(t, "+PONG\r\n", ":1\r\n", ":1\r\n", "*4\r\n$3\r\ntea\r\n$1\r\n2\r\n$4\r\nvase\r\n$1\r\n1\r\n", ":1\r\n")
	ctx := context.Background()
	if err := redis.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := redis.Set(ctx, "c", "tea", 2); err != nil {
		t.Fatal(err)
	}
	items, err := redis.Items(ctx, "c")
	if err != nil || !reflect.DeepEqual(items, map[string]int{"tea": 2, "vase": 1}) {
		t.Fatalf("%v %v", items, err)
	}
	if err := redis.Clear(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	want := []string{"PING", "HSET cart:c tea 2", "EXPIRE cart:c 2592000", "HGETALL cart:c", "DEL cart:c"}
	if !reflect.DeepEqual(*seen, want) {
		t.Errorf("sent %q", *seen)
	}
}

func TestAnErrorOfRedisIsAnErrorAndKeepsTheConnection(t *testing.T) {
	redis, _ := scripted(t, "-LOADING Redis is loading the dataset in memory\r\n", "+PONG\r\n")
	if err := redis.Ping(context.Background()); err == nil || !strings.Contains(err.Error(), "LOADING") {
		t.Fatalf("got %v", err)
	}
	if err := redis.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestAStaleConnectionIsReplaced(t *testing.T) {
	redis, seen := scripted(t, "+PONG\r\n", "hang up", "+PONG\r\n")
	for i := 0; i < 2; i++ {
		if err := redis.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(*seen) != 3 {
		t.Errorf("%d commands were sent", len(*seen))
	}
}

func TestMalformedRepliesAreErrors(t *testing.T) {
	for _, text := range []string{"", "+", "+OK\n", "?1\r\n", "$99999999999\r\n", "$5\r\nab", "*2\r\n:1\r\n", ":x\r\n"} {
		if _, err := readReply(bufio.NewReader(strings.NewReader(text))); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
