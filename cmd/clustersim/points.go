package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/clustersim/clustersim/sim/sweep"
)

// The files of a sweep's folder that are there before its end: which grid it is of, and
// the points that have ended.
const (
	manifestFile = "manifest.json"
	pointsFile   = "points.jsonl"
)

// pointStore puts a sweep's points on disk as they end. Without a folder it keeps nothing.
type pointStore struct {
	dir      string
	files    *outputs
	finished []sweep.Outcome // read when the sweep was resumed
	file     *os.File
	size     int64 // of the whole lines
	kept     int   // points with a result, those of before included
	failure  error // the first; nothing is written after it
	stop     context.CancelFunc
}

// checkPoints refuses to begin a sweep where the points of one are, unless they may be
// overwritten, and to resume one nowhere. A sweep that goes on writes over its own files.
func checkPoints(dir string, resume bool, files *outputs) error {
	if dir == "" {
		if resume {
			return errors.New("--resume: name the folder of the sweep with --out")
		}
		return nil
	}
	if resume {
		for _, name := range []string{manifestFile, pointsFile} {
			_, err := os.Lstat(filepath.Join(dir, name))
			files.force = files.force || err == nil
		}
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir, pointsFile)); err == nil && !files.force {
		return fmt.Errorf("--out %s: %s holds the points of a sweep; add --resume to go on with it, --force to lose them, or name another folder", dir, pointsFile)
	}
	return nil
}

// openPoints opens the folder for the points of a grid: a new one, or, to resume, one of
// the same grid. stop is called when a point cannot be written.
func openPoints(dir string, resume bool, files *outputs, m *sweep.Manifest, points []sweep.Point, stop context.CancelFunc) (*pointStore, error) {
	s := &pointStore{dir: dir, files: files, stop: stop}
	if dir == "" {
		return s, nil
	}
	name := filepath.Join(dir, pointsFile)
	if _, err := os.Lstat(name); err == nil && resume {
		return s, s.restore(name, m, points)
	}
	text, err := m.Write()
	if err != nil {
		return nil, failed(err)
	}
	// Only --force comes here with points of another sweep.
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed(err)
	}
	// The manifest first: points without one could not be resumed.
	if err := files.write(filepath.Join(dir, manifestFile), text, 0o666); err != nil {
		return nil, err
	}
	s.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
	return s, failed(err)
}

// restore reads what a sweep of the same grid has kept, and cuts off a torn line.
func (s *pointStore) restore(name string, m *sweep.Manifest, points []sweep.Point) error {
	at := filepath.Join(s.dir, manifestFile)
	text, err := os.ReadFile(at)
	if err != nil {
		return fmt.Errorf("--resume: %w", err)
	}
	begun, err := sweep.ReadManifest(at, text)
	if err != nil {
		return fmt.Errorf("--resume: %w", err)
	}
	if err := m.Same(begun); err != nil {
		return fmt.Errorf("--resume: %s: %w", at, err)
	}
	if s.file, err = os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0); err != nil {
		return failed(err)
	}
	s.finished, s.size, err = sweep.Restore(name, s.file, points)
	if err != nil {
		return errors.Join(fmt.Errorf("--resume: %w", err), s.file.Close())
	}
	s.kept = len(s.finished)
	return failed(s.file.Truncate(s.size))
}

// keep writes a point that has ended as one whole line and waits until the disk has it.
// A line that does not fit is taken back, and the sweep is stopped: what would be
// computed further could not be kept.
func (s *pointStore) keep(o *sweep.Outcome) {
	if s.file == nil || s.failure != nil {
		return
	}
	line, err := o.Line()
	if err == nil {
		_, err = s.file.Write(line)
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		s.failure = errors.Join(err, s.file.Truncate(s.size))
		s.stop()
		return
	}
	s.size += int64(len(line))
	if o.Result != nil {
		s.kept++
	}
}

// finish writes the files of the end, unless the disk has refused a point, and closes.
func (s *pointStore) finish(answer *sweep.Sweep, base func() ([]byte, error)) error {
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.failure, s.file.Close()); err != nil {
		return failed(fmt.Errorf("%w\n%d of %d points are kept in %s; make room, then the same command with --resume goes on",
			err, s.kept, len(answer.Points), filepath.Join(s.dir, pointsFile)))
	}
	var result bytes.Buffer
	if err := sweep.JSON(&result, answer); err != nil {
		return failed(err)
	}
	scenario, err := base()
	if err != nil {
		return failed(err)
	}
	return s.files.writeAll(s.dir, []file{{"sweep.json", result.Bytes()}, {"scenario.yaml", scenario}})
}

// note says on w that a sweep goes on.
func (s *pointStore) note(w io.Writer, total int) {
	if len(s.finished) > 0 {
		fmt.Fprintf(w, "resumed: %d of %d points are finished\n", len(s.finished), total)
	}
}
