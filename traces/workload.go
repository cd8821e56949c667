package traces

import (
	"embed"
	"errors"
	"fmt"
	"os"

	"github.com/clustersim/clustersim/sim/spec"
)

//go:embed *.yaml
var profiles embed.FS

// Workload describes requests to be generated. What is left zero is taken from
// the profile; with no profile, Input and Output must be given.
type Workload struct {
	Profile  string        // name of a shipped profile or path of a YAML file
	Patches  spec.Patches  `json:",omitempty"` // laid over the profile
	Rate     float64       // requests a second
	Requests int64         // how many; 0 for no limit
	Duration spec.Duration // until when; 0 for no limit. With neither limit the source never ends
	Input    Dist          // prompt tokens; with Sessions, what one turn adds to the context
	Output   Dist          // generated tokens
	Arrivals Arrivals
	Sessions *Sessions // nil for prompts that share nothing
	Seed     uint64
}

// Sessions makes prompts grow: each request is a turn of a conversation, and its
// prompt is a prefix that all sessions share, then everything said in the
// session so far, prompts and answers, then Input new tokens:
//
//	prompt(turn t) = SharedTokens + Σ_{u<t} (input_u + output_u) + input_t
//
// So many sessions run side by side that a turn follows the one before after
// TurnGap in the mean: round(Rate × TurnGap), served in turn. Each starts at a
// uniformly drawn turn, so that the mix of short and long contexts is stationary.
type Sessions struct {
	SharedTokens int           `yaml:"shared_tokens"` // system prompt, tools: equal in all sessions
	Turns        int           `yaml:"turns"`         // requests in a session
	TurnGap      spec.Duration `yaml:"turn_gap"`      // mean time between the turns of a session
	BlockTokens  int           `yaml:"block_tokens"`  // tokens that an id of Request.Prefix stands for
}

// Profile is a kind of workload with its source, as read from YAML.
type Profile struct {
	Name        string    `yaml:"name"`
	Description string    `yaml:"description"`
	Sources     []string  `yaml:"sources"`
	Input       Dist      `yaml:"input_tokens"`
	Output      Dist      `yaml:"output_tokens"`
	Arrivals    Arrivals  `yaml:"arrivals"`
	Sessions    *Sessions `yaml:"sessions"`
}

// Profiles are the names of the shipped profiles.
func Profiles() []string { return spec.YAMLNames(profiles, ".") }

// LoadProfile reads a shipped profile by name or another by path, with patches laid over
// it.
func LoadProfile(ref string, patches ...spec.Patch) (Profile, error) {
	file, data, err := readProfile(ref)
	if err != nil {
		return Profile{}, err
	}
	return parseProfile(file, data, patches)
}

// ProfilePaths lists what can be patched of a profile, as workload.PATH has it.
func ProfilePaths(ref string) ([]string, error) {
	file, data, err := readProfile(ref)
	if err != nil {
		return nil, err
	}
	doc := spec.Parse(file, data, &Profile{})
	return doc.Paths(), doc.Err()
}

func readProfile(ref string) (file string, data []byte, err error) {
	file = spec.NameIn(ref, Profiles()) + ".yaml"
	if spec.IsPath(ref) {
		file = ref
		data, err = spec.Description.Read(os.Open(ref))
	} else {
		data, err = profiles.ReadFile(file)
	}
	switch {
	case err != nil && spec.IsPath(ref):
		return "", nil, fmt.Errorf("workload profile: %w", err)
	case err != nil:
		return "", nil, spec.UnknownName("workload profile", ref, Profiles())
	}
	return file, data, nil
}

func parseProfile(file string, data []byte, patches spec.Patches) (Profile, error) {
	var p Profile
	doc := spec.ParseOver(file, data, patches, &p)
	if doc.Err() != nil {
		return Profile{}, doc.Err()
	}
	w := Workload{Rate: 1, Input: p.Input, Output: p.Output, Sessions: p.Sessions}
	for _, f := range w.faults() {
		doc.Errorf(f.field, "%s", f.text)
	}
	return p, doc.Err()
}

// Resolve fills what is unset from the profile and checks the whole.
func (w Workload) Resolve() (Workload, error) {
	if w.Profile != "" {
		p, err := LoadProfile(w.Profile, w.Patches...)
		if err != nil {
			return Workload{}, err
		}
		w.fill(p)
	} else if len(w.Patches) > 0 {
		return Workload{}, fmt.Errorf("patch %s: the workload has no profile", w.Patches[0])
	}
	var errs []error
	for _, f := range w.faults() {
		errs = append(errs, fmt.Errorf("workload: %s: %s", f.field, f.text))
	}
	return w, errors.Join(errs...)
}

func (w *Workload) fill(p Profile) {
	if w.Input.IsZero() {
		w.Input = p.Input
	}
	if w.Output.IsZero() {
		w.Output = p.Output
	}
	if w.Arrivals == (Arrivals{}) {
		w.Arrivals = p.Arrivals
	}
	if w.Sessions == nil {
		w.Sessions = p.Sessions
	}
}

type fault struct{ field, text string }

// Limits of the rate: below, a gap would not fit the clock; above, two requests
// would share a nanosecond.
const (
	minRate = 1e-6
	maxRate = 1e9
)

// faults lists everything that is wrong with a workload, in the names of YAML.
func (w Workload) faults() []fault {
	var fs []fault
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			fs = append(fs, fault{field, fmt.Sprintf(format, args...)})
		}
	}
	all := w.Arrivals.AllAtOnce()
	check(all || w.Rate >= minRate && w.Rate <= maxRate, "rate", "must be from %g to %g requests a second, got %v", minRate, maxRate, w.Rate)
	check(!all || w.Requests > 0, "requests", "must be given with arrivals: burst, which sends all at once")
	check(w.Requests >= 0, "requests", "must not be negative, got %d", w.Requests)
	check(w.Duration >= 0, "duration", "must not be negative, got %s", w.Duration)
	check(!w.Input.IsZero(), "input_tokens", "must be given when no profile is (profiles: %s)", nameList())
	check(!w.Output.IsZero(), "output_tokens", "must be given when no profile is (profiles: %s)", nameList())
	check(w.Input.IsZero() || w.Input.Mean() >= 1, "input_tokens", "must be at least 1, got %s", w.Input)
	check(w.Output.IsZero() || w.Output.Mean() >= 1, "output_tokens", "must be at least 1, got %s", w.Output)
	if s := w.Sessions; s != nil {
		check(s.SharedTokens >= 0 && s.SharedTokens <= MaxTokens, "sessions.shared_tokens", "must be from 0 to %d, got %d", MaxTokens, s.SharedTokens)
		check(s.Turns >= 1 && s.Turns <= maxTurns, "sessions.turns", "must be from 1 to %d, got %d", maxTurns, s.Turns)
		last := float64(s.SharedTokens) + float64(s.Turns)*(w.Input.Mean()+w.Output.Mean())
		check(last <= MaxTokens, "sessions.turns", "the last of %d turns would hold %.0f tokens in the mean; at most %d", s.Turns, last, MaxTokens)
		check(s.TurnGap > 0, "sessions.turn_gap", "must be given and positive, got %s", s.TurnGap)
		check(s.BlockTokens >= 1 && s.BlockTokens <= MaxTokens, "sessions.block_tokens", "must be from 1 to %d, got %d", MaxTokens, s.BlockTokens)
		check(s.TurnGap.Seconds()*w.Rate <= maxSessions, "sessions.turn_gap", "rate × turn_gap is %.0f sessions side by side; at most %d", s.TurnGap.Seconds()*w.Rate, maxSessions)
	}
	return fs
}

const (
	maxTurns    = 10_000
	maxSessions = 10_000_000
)

func nameList() string {
	s := ""
	for i, n := range Profiles() {
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}

// MeanInput is the mean prompt length in tokens. Call it on a resolved workload.
func (w Workload) MeanInput() float64 {
	if w.Sessions == nil {
		return w.Input.Mean()
	}
	// Turns are equally frequent, so the mean turn number is (Turns−1)/2.
	grown := float64(w.Sessions.Turns-1) / 2 * (w.Input.Mean() + w.Output.Mean())
	return float64(w.Sessions.SharedTokens) + grown + w.Input.Mean()
}

// MeanReused is how many of a prompt's tokens an infinite cache of prompts would
// have in the mean, partly filled blocks aside. Answers are not counted as
// cached until they come back in a prompt.
func (w Workload) MeanReused() float64 {
	s := w.Sessions
	if s == nil {
		return 0
	}
	turns := float64(s.Turns)
	// A later turn repeats the prompt of the turn before; the first repeats what all share.
	again := (turns - 1) / turns * (float64(s.SharedTokens) + w.Input.Mean() + (turns-2)/2*(w.Input.Mean()+w.Output.Mean()))
	return again + float64(s.SharedTokens)/turns
}
