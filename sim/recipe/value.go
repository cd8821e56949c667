package recipe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
	"go.yaml.in/yaml/v4"

	"github.com/clustersim/clustersim/sim/spec"
)

// Values are scenario paths with their values, in the order of the file.
type Values []Value

// Value is one of them.
type Value struct {
	Path, Text   string
	file         string
	line, column int
	expr         *expression // of a computed one
}

// at is where the value stands.
func (v *Value) at() string {
	return fmt.Sprintf("%s:%d:%d", v.file, v.line, v.column)
}

// UnmarshalYAML keeps the order and the places of a mapping's entries.
func (vs *Values) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("want scenario paths with their values")
	}
	*vs = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null":
			return fmt.Errorf("%s: want one value", key.Value)
		case slices.ContainsFunc(*vs, func(v Value) bool { return v.Path == key.Value }):
			return fmt.Errorf("%s is given twice", key.Value)
		}
		column := value.Column
		if value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			column++
		}
		*vs = append(*vs, Value{Path: key.Value, Text: value.Value, line: value.Line, column: column})
	}
	return nil
}

// MarshalYAML writes them as they were read.
func (vs Values) MarshalYAML() (any, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, v := range vs {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: v.Path}, &yaml.Node{Kind: yaml.ScalarNode, Value: v.Text})
	}
	return n, nil
}

// compile compiles the computed ones.
func (vs Values) compile(file string, doc *spec.Doc) {
	for i := range vs {
		v := &vs[i]
		v.file = file
		text, computed := strings.CutPrefix(v.Text, "=")
		if !computed {
			continue
		}
		e, fault := compile(text)
		if fault != nil {
			doc.ErrorAt(v.line, v.column+1+fault.Column, v.Path, "%s", fault.Text)
		}
		v.expr = e
	}
}

// over are the values with those of a base before them, where they do not say otherwise.
func (vs Values) over(base Values) Values {
	out := slices.Clone(base)
	for _, v := range vs {
		if i := slices.IndexFunc(out, func(b Value) bool { return b.Path == v.Path }); i >= 0 {
			out[i] = v
			continue
		}
		out = append(out, v)
	}
	return out
}

// expression is a compiled condition or value and the facts that it asks for.
type expression struct {
	program *vm.Program
	facts   []string
}

// functions are those that launch scripts compute with besides the library's.
var functions = map[string]func(a, b int) int{
	"div":     func(a, b int) int { return int(math.Floor(float64(a) / float64(b))) },
	"roundup": func(a, b int) int { return (a + b - 1) / b * b },
}

// compile reads an expression. A fault is reported at its column in the text.
func compile(text string, options ...expr.Option) (*expression, *spec.Problem) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, faultOf(err)
	}
	asked := &names{known: Known()}
	ast.Walk(&tree.Node, asked)
	if p := asked.fault(); p != nil {
		return nil, p
	}
	options = append(options, expr.Env(Facts{}))
	for name, of := range functions {
		options = append(options, expr.Function(name, whole(name, of), new(func(int, int) int)))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		return nil, faultOf(err)
	}
	return &expression{program, asked.facts()}, nil
}

func whole(name string, of func(a, b int) int) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		a, first := args[0].(int)
		b, second := args[1].(int)
		if !first || !second || b <= 0 {
			return nil, fmt.Errorf("%s(%v, %v): want two whole numbers, the second above 0", name, args[0], args[1])
		}
		return of(a, b), nil
	}
}

// faultOf puts the library's error at its column, from 0.
func faultOf(err error) *spec.Problem {
	var at *file.Error
	if errors.As(err, &at) {
		return &spec.Problem{Column: at.Column, Text: at.Message}
	}
	return &spec.Problem{Text: err.Error()}
}

// names collects the names in an expression: clients, decode.dp.
type names struct {
	known []string
	all   []named
	pools map[ast.Node]bool // identifiers that stand before a point
}

type named struct {
	node ast.Node
	name string
}

// Visit implements ast.Visitor: children come before what they are part of.
func (n *names) Visit(node *ast.Node) {
	switch x := (*node).(type) {
	case *ast.IdentifierNode:
		n.all = append(n.all, named{x, x.Value})
	case *ast.MemberNode:
		pool, plain := x.Node.(*ast.IdentifierNode)
		field, text := x.Property.(*ast.StringNode)
		if plain && text {
			if n.pools == nil {
				n.pools = map[ast.Node]bool{}
			}
			n.pools[pool] = true
			n.all = append(n.all, named{pool, pool.Value + "." + field.Value})
		}
	}
}

func (n *names) facts() (out []string) {
	for _, x := range n.all {
		if bare := !strings.Contains(x.name, "."); bare && (n.pools[x.node] || functions[x.name] != nil) || slices.Contains(out, x.name) {
			continue
		}
		out = append(out, x.name)
	}
	return out
}

// fault is the first name that is no fact.
func (n *names) fault() *spec.Problem {
	for _, name := range n.facts() {
		if slices.Contains(n.known, name) {
			continue
		}
		i := slices.IndexFunc(n.all, func(x named) bool { return x.name == name })
		return &spec.Problem{Column: n.all[i].node.Location().From, Text: spec.UnknownName("fact", name, n.known).Error()}
	}
	return nil
}

// lacking reports that the expression is about a pool that the deployment has not.
func (e *expression) lacking(f *Facts) bool {
	return slices.ContainsFunc(e.facts, func(name string) bool {
		pool, _, _ := strings.Cut(name, ".")
		return f.lacks(pool)
	})
}

// open reports that the expression is about the layout of a pool of which the run states
// nothing: it is still to be chosen.
func (e *expression) open(f *Facts) bool {
	return slices.ContainsFunc(e.facts, func(name string) bool {
		switch pool, _, _ := strings.Cut(name, "."); pool {
		case "serve":
			return f.Serve == Pool{}
		case "prefill":
			return f.Prefill == Pool{}
		case "decode":
			return f.Decode == Pool{}
		}
		return false
	})
}

// value computes the expression over the facts.
func (e *expression) value(f *Facts) (any, error) {
	if err := f.needs(e.facts); err != nil {
		return nil, err
	}
	return expr.Run(e.program, *f)
}

// written is a computed value as it stands in a scenario.
func written(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("computes %v, which is no number, text or truth", v)
}
