package spec

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

var (
	factorForm = regexp.MustCompile(`^x([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)$`)
	numberForm = regexp.MustCompile(`^[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$`)
)

// factorOf is the number of a value such as x1.2.
func factorOf(value string) (factor string, is bool) {
	m := factorForm.FindStringSubmatch(strings.TrimSpace(value))
	if m == nil {
		return "", false
	}
	return m[1], true
}

// multiply gives the text of a scalar times a factor. A unit stays as it is written.
func multiply(n *yaml.Node, t reflect.Type, factor string) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("a factor multiplies one number, and here are several; name one, or end the path with .*")
	}
	number, unit := n.Value, ""
	_, isUnit := units[t]
	switch {
	case t == reflect.TypeFor[Duration]():
		var d Duration
		if err := d.UnmarshalText([]byte(n.Value)); err != nil {
			return "", err
		}
		if number, unit = splitNumber(n.Value); strings.ContainsAny(unit, "0123456789") { // 1m30s
			number, unit = strconv.FormatInt(int64(d), 10), "ns"
		}
	case isUnit:
		number, unit = splitNumber(n.Value)
	case t != nil && t.Kind() == reflect.String, n.ShortTag() == "!!bool":
		return "", fmt.Errorf("%q is no number that a factor could multiply", n.Value)
	}
	product, ok := times(number, factor)
	if !ok {
		return "", fmt.Errorf("%q is no number that a factor could multiply", n.Value)
	}
	return product + unit, nil
}

// splitNumber takes the number that a quantity begins with off its unit.
func splitNumber(text string) (number, unit string) {
	text = strings.TrimSpace(text)
	end := numberEnd(text)
	return text[:end], strings.TrimSpace(text[end:])
}

// times multiplies two decimal numbers as they are written: 3.35 times 1.2 is 4.02, and
// a whole product has no exponent or point.
func times(a, b string) (string, bool) {
	if !numberForm.MatchString(a) || !numberForm.MatchString(b) {
		return "", false
	}
	a, b = strings.ReplaceAll(a, "_", ""), strings.ReplaceAll(b, "_", "")
	for _, text := range []string{a, b} {
		// A float's limits keep the exact product small.
		switch v, err := strconv.ParseFloat(text, 64); {
		case err != nil || math.IsInf(v, 0):
			return "", false
		case v == 0:
			return "0", true
		}
	}
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	x.Mul(x, y)
	if x.IsInt() && x.Num().BitLen() <= 64 {
		return x.Num().String(), true
	}
	v, _ := x.Float64()
	return strconv.FormatFloat(v, 'f', -1, 64), !math.IsInf(v, 0)
}
