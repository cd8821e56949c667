package cost

import (
	"errors"
	"fmt"
)

// beats says by what a layer's attention, o of work on a rank with w, that takes so many
// seconds beats a peak of the chip; nil when it does not. Whole steps hide that: where a
// block is priced below what its own bytes and FLOPs take, other operators make up for it.
//
// Traffic that the law lets caches serve (served) does not count: it may be faster than
// HBM.
func (s *Stepper) beats(k *attention, w *work, o *operator, seconds float64) *InvariantError {
	within := seconds*(1+1e-9) + 1e-9
	atPeak, hbm := o.atPeak, (o.bytes-k.served(w))*s.perByte
	if atPeak <= within && hbm <= within { // false of NaN too
		return nil
	}
	err := &InvariantError{What: "MFU of attention " + k.label, Used: atPeak, Within: seconds, Config: s.describe()}
	if hbm > within {
		err.What, err.Used = "MBU of attention "+k.label, hbm
	}
	return err
}

// served is the bytes of a layer's attention that its law lets caches serve: the tails
// of a linear layer's convolution.
func (k *attention) served(w *work) float64 {
	if k.form != linearForm {
		return 0
	}
	return k.convState / 2 * (w.sequences + w.rows)
}

// blocks holds the attention of every kind of layer against the chip's peaks, at few and
// many sequences, short and long contexts, in both phases: a chip whose constants let one
// beat them is refused before it prices a step.
func (s *Stepper) blocks() error {
	var errs []error
	longest := max(1, s.config.Model.MaxContext)
	for _, st := range []*stack{&s.main, &s.draft} {
		for i := range st.attentions {
			k := &st.attentions[i]
			for _, n := range []int64{1, int64(s.config.MaxSequences)} {
				for _, context := range []int64{1, min(4096, longest), longest} {
					errs = append(errs, s.block(k, s.uniform(n, 0, context, 0)))
				}
			}
			chunk := min(int64(s.config.MaxTokens), longest)
			errs = append(errs, s.block(k, s.uniform(0, 1, chunk, chunk)), s.block(k, s.uniform(0, 1, longest, chunk)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("chip %s: its constants price attention below what its peaks allow:\n%w", s.config.Chip.Name, err)
	}
	return nil
}

func (s *Stepper) block(k *attention, l Load) error {
	var w work
	w.fill(&l, s.verify, 1, 1)
	d, p := s.attentionTimes(k, &w, w.rows+w.chunkTokens)
	var o operator
	s.blockWork(&o, k, &w)
	if err := s.beats(k, &w, &o, d.Total()+p.Total()); err != nil {
		return err
	}
	return nil
}
