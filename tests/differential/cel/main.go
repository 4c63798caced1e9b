// SPDX-License-Identifier: Apache-2.0

// Evaluates the expressions of a file, one a line, as Kubernetes' API server would, and prints for each what came out:
// the value as JSON, the runtime cost, or the error of compilation or evaluation.
//
//	go run . expressions.txt > ../../../src/core/expr/cel/testdata/kubernetes.json
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

type answer struct {
	Expression string          `json:"expression"`
	Compile    string          `json:"compile,omitempty"`
	Error      string          `json:"error,omitempty"`
	Value      json.RawMessage `json:"value,omitempty"`
	Cost       uint64          `json:"cost,omitempty"`
}

const object = `{"metadata":{"name":"web","labels":{"app":"web","tier":"front"}},"spec":{"replicas":3,"containers":[
{"name":"a","image":"nginx:1.25","ports":[80,443]},{"name":"b","image":"busybox"}]},"empty":null}`

func main() {
	env, err := environment.MustBaseEnvSet(version.MajorMinor(1, 33), true).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions: []cel.EnvOption{
			cel.Variable("object", cel.DynType),
			cel.Variable("n", cel.IntType),
			cel.Variable("s", cel.StringType),
			cel.Variable("l", cel.ListType(cel.IntType)),
			cel.Variable("m", cel.MapType(cel.StringType, cel.StringType)),
		},
	})
	if err != nil {
		panic(err)
	}
	var document any
	if err := json.Unmarshal([]byte(object), &document); err != nil {
		panic(err)
	}
	document = wholeNumbers(document)
	bindings := map[string]any{"object": document, "n": int64(3), "s": "hello", "l": []int64{3, 1, 2},
		"m": map[string]string{"a": "1", "b": "2"}}
	file, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	out := struct {
		Tool  string   `json:"tool"`
		Cases []answer `json:"cases"`
	}{Tool: tool()}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			out.Cases = append(out.Cases, evaluate(env.StoredExpressionsEnv(), line, bindings))
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		panic(err)
	}
}

// As the API server decodes JSON: numbers without a fraction are int64.
func wholeNumbers(value any) any {
	switch v := value.(type) {
	case float64:
		return int64(v)
	case []any:
		for i := range v {
			v[i] = wholeNumbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = wholeNumbers(v[key])
		}
	}
	return value
}

func evaluate(env *cel.Env, expression string, bindings map[string]any) answer {
	out := answer{Expression: expression}
	ast, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		out.Compile = issues.String()
		return out
	}
	program, err := env.Program(ast)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	value, details, err := program.Eval(bindings)
	if details != nil && details.ActualCost() != nil {
		out.Cost = *details.ActualCost()
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	if opt, ok := value.(*types.Optional); ok {
		out.Value, _ = json.Marshal(opt.HasValue())
		return out
	}
	native, err := value.ConvertToNative(reflect.TypeOf(&structpb.Value{}))
	if err != nil {
		out.Value, _ = json.Marshal(fmt.Sprint(value.Type().TypeName()))
		return out
	}
	out.Value, _ = native.(*structpb.Value).MarshalJSON()
	return out
}

func tool() string {
	info, _ := debug.ReadBuildInfo()
	names := []string{}
	for _, dep := range info.Deps {
		if dep.Path == "k8s.io/apiserver" || dep.Path == "github.com/google/cel-go" {
			names = append(names, dep.Path+" "+dep.Version)
		}
	}
	return strings.Join(names, ", ")
}
