// SPDX-License-Identifier: Apache-2.0

// Answers template programs with Helm's own engine: one JSON object {"template", "values"} a line on standard input, one
// {"template", "values", "output" | "error"} a line on standard output. Written with Go 1.26 and the versions of go.mod.
//
//	go run . < programs.jsonl > golden.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"os"

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

func main() {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 64<<20)
	out.SetEscapeHTML(false)
	var last json.RawMessage
	for in.Scan() {
		var p program
		if err := json.Unmarshal(in.Bytes(), &p); err != nil {
			panic(err)
		}
		if p.Values != nil {
			last = p.Values
		}
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
		if err != nil {
			p.Error = err.Error()
		} else {
			output := rendered["c/t"]
			p.Output = &output
		}
		out.Encode(p)
	}
}
