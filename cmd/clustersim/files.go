package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clustersim/clustersim/sim/scenario"
)

// outputs is the rule for every file that a command writes. Before any work it is
// looked at whether each may be written; a file appears under its name only when it is
// whole, and takes the place of another only with --force. A file that the command
// reads is never written over, and a link is never followed.
type outputs struct {
	force bool
	reads []string // files that the command reads
}

// addForceFlag declares --force.
func addForceFlag(c *cobra.Command, o *outputs) {
	c.Flags().BoolVar(&o.force, "force", false, "overwrite output files that are there already; never one that the command reads")
}

// read adds what the command reads: names that are no paths stand for what ships.
func (o *outputs) read(names ...string) {
	for _, name := range names {
		if name != "" && name != "-" {
			o.reads = append(o.reads, name)
		}
	}
}

// readScenario adds the files that a scenario names.
func (o *outputs) readScenario(s *scenario.Scenario) {
	o.read(s.Model, s.Topology, s.Deployment.Engine)
	if file, is := strings.CutPrefix(strings.TrimSpace(s.Deployment.Routing), "histogram "); is {
		o.read(strings.TrimSpace(file))
	}
	if s.Trace != nil {
		o.read(s.Trace.File)
	}
	if s.Workload != nil {
		o.read(s.Workload.Profile)
	}
}

// check refuses a file that may not or cannot be written. No name is no file.
func (o *outputs) check(flag, name string) error {
	if name == "" {
		return nil
	}
	if err := o.mayWrite(flag, name); err != nil {
		return err
	}
	return canWrite(flag, filepath.Dir(name))
}

func (o *outputs) mayWrite(flag, name string) error {
	if info, err := os.Stat(name); err == nil {
		for _, input := range o.reads {
			if other, err := os.Stat(input); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("%s: %s is a file that the command reads; name another", flag, name)
			}
		}
	}
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failed(fmt.Errorf("%s: %w", flag, err))
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s: %s is a symbolic link, which is not written through; name the file itself", flag, name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %s is there and is no regular file", flag, name)
	case !o.force:
		return fmt.Errorf("%s: %s is there already; --force overwrites it", flag, name)
	}
	return nil
}

// canWrite tries the folder, which full disks and rights do not show otherwise.
func canWrite(flag, dir string) error {
	file, err := createBeside(dir, 0o666)
	var place *fs.PathError
	switch {
	case errors.As(err, &place):
		return failed(fmt.Errorf("%s: folder %s cannot be written: %w", flag, dir, place.Err))
	case err != nil:
		return failed(fmt.Errorf("%s: %w", flag, err))
	}
	return failed(errors.Join(file.Close(), os.Remove(file.Name())))
}

// checkFolder is check for files of the folder that a flag names, and makes the folder.
// No name is no folder.
func (o *outputs) checkFolder(flag, dir string, names ...string) error {
	if dir == "" {
		return nil
	}
	for _, name := range names {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			break
		}
		if err := o.mayWrite(flag, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return failed(fmt.Errorf("%s %s: want a folder that can be written: %w", flag, dir, err))
	}
	return canWrite(flag, dir)
}

// createBeside opens a new file of a name that nobody has, with what the user's mask
// leaves of the mode.
func createBeside(dir string, mode fs.FileMode) (*os.File, error) {
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".clustersim-%08x.part", rand.Uint32()))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) || try == 10 {
			return file, err
		}
	}
}

// pending is a file that is being written beside the place where it will stand.
type pending struct {
	*os.File
	name  string
	force bool
}

// create begins a file that check has let through.
func (o *outputs) create(name string, mode fs.FileMode) (*pending, error) {
	file, err := createBeside(filepath.Dir(name), mode)
	if err != nil {
		return nil, err
	}
	return &pending{file, name, o.force}, nil
}

// commit gives the file its name, when all of it is on the disk.
func (p *pending) commit() error {
	if err := errors.Join(p.Sync(), p.Close()); err != nil {
		return errors.Join(err, os.Remove(p.Name()))
	}
	if !p.force {
		if _, err := os.Lstat(p.name); err == nil {
			return fmt.Errorf("%s has appeared meanwhile; what was to be written is in %s", p.name, p.Name())
		}
	}
	return os.Rename(p.Name(), p.name)
}

// drop gives the file and its room on the disk up.
func (p *pending) drop() error {
	return errors.Join(p.Close(), os.Remove(p.Name()))
}

// write writes a whole file.
func (o *outputs) write(name string, data []byte, mode fs.FileMode) error {
	p, err := o.create(name, mode)
	if err != nil {
		return failed(err)
	}
	if _, err := p.Write(data); err != nil {
		return failed(errors.Join(fmt.Errorf("%s: %w", name, err), p.drop()))
	}
	return failed(p.commit())
}

// file is one file of a folder that a command fills.
type file struct {
	name string
	data []byte
}

// writeAll writes a folder's files, each that it can.
func (o *outputs) writeAll(dir string, files []file) error {
	var faults []error
	for _, f := range files {
		faults = append(faults, o.write(filepath.Join(dir, f.name), f.data, 0o666))
	}
	return errors.Join(faults...)
}

// checkTrace refuses a recorded trace that can be read only once: a run reads it for
// the plan, for its digest and for the requests.
func checkTrace(s *scenario.Scenario) error {
	if s.Trace == nil || s.Trace.File == "-" || s.Trace.File == "sample" {
		return nil
	}
	info, err := os.Stat(s.Trace.File)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return fmt.Errorf("trace: %s is a pipe or device, which can be read only once; give it as standard input: --trace - < %s", s.Trace.File, s.Trace.File)
	}
	return nil
}
