package spec

import (
	"fmt"
	"io"
	"io/fs"
)

// Limit is how many bytes of a file are read whole: a file without an end is an error
// after so many of them, not a machine without memory.
type Limit int64

// What is read whole, by kind.
const (
	Description Limit = 64 << 20 // scenarios, models, config.json, topologies, chips, engines, profiles, recipes
	Data        Limit = 1 << 30  // results, measurements
)

// Read reads an opened file and closes it: limit.Read(os.Open(name)).
func (l Limit) Read(file fs.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer file.Close()
	name := "file"
	if f, is := file.(interface{ Name() string }); is {
		name = f.Name()
	} else if info, err := file.Stat(); err == nil {
		name = info.Name()
	}
	return l.ReadAll(name, file)
}

// ReadAll reads a stream to its end; name is what an error calls it.
func (l Limit) ReadAll(name string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(l)+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > int64(l):
		return nil, fmt.Errorf("%s: is longer than %d MiB, the most that such a file may be", name, l>>20)
	}
	return data, nil
}
