// SPDX-License-Identifier: Apache-2.0

// Answers template programs with Helm's own engine: one JSON object {"template", "values"} a line on standard input, one
// {"template", "values", "output" | "error"} a line on standard output. Written with Go 1.26 and the versions of go.mod.
//
//	go run . [-skip N] < programs.jsonl > golden.jsonl
//
// Go's engine has no limits: a program that takes longer than programMax ends this one with status 3 and "stuck LINE" on
// standard error, and the next run skips it.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

type program struct {
	Template string          `json:"template"`
	Values   json.RawMessage `json:"values,omitempty"` // those of the line before when absent
	Output   *string         `json:"output,omitempty"`
	Error    string          `json:"error,omitempty"`
}

const programMax = 10 * time.Second

func main() {
	skip := flag.Int("skip", 0, "lines that were answered before")
	flag.Parse()
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 64<<20)
	out.SetEscapeHTML(false)
	var last json.RawMessage
	for line := 1; in.Scan(); line++ {
		var p program
		if err := json.Unmarshal(in.Bytes(), &p); err != nil {
			panic(err)
		}
		if p.Values != nil {
			last = p.Values
		}
		if line <= *skip {
			continue
		}
		if line == *skip+1 {
			p.Values = last
		}
		watch := time.AfterFunc(programMax, func() {
			fmt.Fprintf(os.Stderr, "stuck %d\n", line)
			os.Exit(3)
		})
		given := map[string]interface{}{}
		if err := json.Unmarshal(last, &given); err != nil {
			panic(err)
		}
		c := &chart.Chart{Metadata: &chart.Metadata{Name: "c", Version: "1.0.0"}}
		c.Templates = []*chart.File{{Name: "t", Data: []byte(p.Template)}}
		values, err := chartutil.ToRenderValues(c, given, chartutil.ReleaseOptions{Name: "r"}, nil)
		rendered := map[string]string{}
		if err == nil {
			rendered, err = engine.Render(c, values)
		}
		watch.Stop()
		if err != nil {
			p.Error = err.Error()
		} else {
			output := rendered["c/t"]
			p.Output = &output
		}
		out.Encode(p)
	}
}
