package metrics

import "github.com/clustersim/clustersim/sim/cost"

// Hardware is what one instance of a pool has.
type Hardware struct {
	Chips int     // packages
	Peak  float64 // FLOP/s of a package at the fastest precision that the pool computes in
	HBM   float64 // bytes/s of a package
}

// Use is the share of what was deployed that was used, each from 0 to 1.
type Use struct {
	MFU, MBU float64   // of all pools together
	Pools    []PoolUse // one a pool
	Links    []LinkUse // one a tier
}

// PoolUse is one pool's.
type PoolUse struct {
	MFU  float64 // model FLOPs over the chips' peak
	MBU  float64 // compulsory HBM bytes over the chips' bandwidth
	Busy float64 // time in steps over all time of the instances
}

// LinkUse is a tier's: bytes over what a chip can send through the tier when all do.
type LinkUse struct {
	Mean    float64 // of all chips' links
	Busiest float64 // of a link of the pool whose links carry most, in the fuller direction
	// Over says that steps and the hand-over of caches together would have needed more
	// than there is: they share the links, and are not slowed down by each other. The
	// figures above end at 1.
	Over bool
}

// rounding of times to nanoseconds may leave a link that is full a little over 1.
const rounding = 1e-9

// since is what the hardware was used for between two states of the ledgers; before is
// nil for none. Time is what the ledgers cover, so that a step that straddles an edge of
// the window counts with its time as well as with its work. What is not known of the
// hardware is 0.
func (u *Use) since(cfg *Config, before, now []Ledger) {
	u.Pools = u.Pools[:0]
	u.Links = append(u.Links[:0], make([]LinkUse, min(len(cfg.Links), cost.MaxTiers))...)
	var flops, peak, bytes, hbm, seconds float64
	var sent [cost.MaxTiers]float64
	for i := range now {
		l, h := now[i], cfg.hardware(i)
		if before != nil {
			l = l.minus(&before[i])
		}
		t := l.Seconds() * float64(h.Chips)
		u.Pools = append(u.Pools, PoolUse{share(l.Flops, float64(t*h.Peak)), share(l.Bytes, float64(t*h.HBM)), l.busy()})
		flops, peak, bytes, hbm, seconds = flops+l.Flops, peak+float64(t*h.Peak), bytes+l.Bytes, hbm+float64(t*h.HBM), seconds+t
		for j := range u.Links {
			sent[j] += l.LinkBytes[j]
			fuller := max(l.LinkBytes[j], l.LinkBytes[j]-l.Sent[j]+l.Received[j])
			u.Links[j].Busiest = max(u.Links[j].Busiest, share(fuller, float64(t*cfg.Links[j])))
		}
	}
	u.MFU, u.MBU = share(flops, peak), share(bytes, hbm)
	for j := range u.Links {
		k := &u.Links[j]
		k.Over = k.Busiest > 1+rounding
		k.Mean, k.Busiest = min(1, share(sent[j], float64(seconds*cfg.Links[j]))), min(1, k.Busiest)
	}
}

func (cfg *Config) hardware(pool int) Hardware {
	if pool < len(cfg.Hardware) {
		return cfg.Hardware[pool]
	}
	return Hardware{}
}

func share(used, all float64) float64 {
	if all <= 0 {
		return 0
	}
	return used / all
}

// Use is what was used in a window.
func (r *Recorder) Use(w *Window) Use {
	var u Use
	u.since(&r.cfg, nil, w.Ledgers)
	return u
}
