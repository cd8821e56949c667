package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/clustersim/clustersim/sim/result"
)

// checkStored refuses what no run can have written, with its place: keys given twice,
// sections that are null, counts and rates below 0, fractions above 1.
func checkStored(name string, data []byte) error {
	w := storedWalk{name: name, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	w.dec.UseNumber()
	return w.value("", reflect.TypeFor[result.Result]())
}

// storedWalk goes through the JSON of a result.
type storedWalk struct {
	name string
	data []byte
	dec  *json.Decoder
}

func (w *storedWalk) errorf(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %s", place(w.name, w.data, w.dec.InputOffset()), path, fmt.Sprintf(format, args...))
}

// value reads one value, whose Go type is t or, where other code reads it, nil.
func (w *storedWalk) value(path string, t reflect.Type) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		return w.inside(path, t, v == '[')
	case nil:
		if t != nil && t.Kind() != reflect.Slice && t.Kind() != reflect.Map && t.Kind() != reflect.Pointer {
			return w.errorf(path, "must not be null")
		}
	case json.Number:
		x, err := v.Float64()
		switch {
		case err != nil:
			return w.errorf(path, "is no number that a run can give: %s", v)
		case x < 0 && slices.Contains(countedSections, head(path)):
			return w.errorf(path, "must not be negative, got %s", v)
		case x > 1+1e-6 && isFraction(path):
			return w.errorf(path, "is a fraction, at most 1, got %s", v)
		}
	}
	return nil
}

// inside reads what an object or a list holds, and its end.
func (w *storedWalk) inside(path string, t reflect.Type, list bool) error {
	seen := map[string]bool{}
	for w.dec.More() {
		at, of := path, element(t, "")
		if !list {
			key, err := w.dec.Token()
			if err != nil {
				return err
			}
			name := fmt.Sprint(key)
			at, of = strings.TrimPrefix(path+"."+name, "."), element(t, name)
			if seen[name] {
				return w.errorf(at, "is given twice")
			}
			seen[name] = true
		}
		if err := w.value(at, of); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// element is the type of what a key of a struct, or a list or map, holds; nil where the
// type reads its JSON itself.
func element(t reflect.Type, key string) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil, reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return nil
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Array:
		return t.Elem()
	case t.Kind() != reflect.Struct:
		return nil
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == key {
			return t.Field(i).Type
		}
	}
	return nil
}

// countedSections are those of a result in which nothing is below 0.
var countedSections = []string{"requests", "simulated_s", "window", "throughput", "latency", "goodput", "capacity", "causes", "utilisation", "kv", "deployment"}

func head(path string) string {
	first, _, _ := strings.Cut(path, ".")
	return first
}

// isFraction tells the paths of shares of a whole.
func isFraction(path string) bool {
	switch head(path) {
	case "causes":
		return !strings.Contains(path, ".ns.")
	case "utilisation":
		return true
	}
	return path == "goodput.fraction" || path == "kv.prefix_hit_rate"
}

// conserved refuses requests that came from nowhere or went there.
func conserved(name string, r *result.Requests) error {
	if came, went := r.Initial+r.Arrived, r.Completed+r.Rejected+r.Lost+r.InFlight; came != went {
		return fmt.Errorf("%s: requests: initial + arrived is %d, completed + rejected + lost + in_flight is %d", name, came, went)
	}
	return nil
}

// place is file:line:column of an offset.
func place(name string, data []byte, offset int64) string {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	return fmt.Sprintf("%s:%d:%d", name, line, max(len(before)-bytes.LastIndexByte(before, '\n')-1, 1))
}
